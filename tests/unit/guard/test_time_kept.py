"""The guard's time: what one clock says alone moves it neither way, and a run's time never goes back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.guard.time_kept import BELIEVED_AFTER_S, TimeKept
from tests.unit.guard.cluster_kit import NOW, Hands

SKEW_S = 60.0


class Clocks(Hands):
    """This machine's clocks, and the API server's."""

    def __init__(self, *, server: float | None = NOW, wall: float = NOW) -> None:
        super().__init__(wall)
        self.server = server
        self.kept = TimeKept(self, server_skew=lambda: self.ahead, skew_s=SKEW_S)

    @property
    def ahead(self) -> float | None:
        return None if self.server is None else self.server - self.wall

    def pass_(self, seconds: float) -> None:
        super().pass_(seconds)
        self.server = None if self.server is None else self.server + seconds

    def later(self, seconds: float = 3.0) -> float:
        """Let a few passes go by; return the time."""
        for _ in range(3):
            self.pass_(seconds / 3)
            self.kept.now_s()
        return self.kept.now_s()


FIRST = {
    "both agree": (NOW, NOW, NOW),
    "the server says more": (NOW, NOW + 3600, NOW + 3600),
    "we say more": (NOW, NOW - 3600, NOW),
    "the server is not heard": (NOW, None, NOW),
}


@pytest.mark.parametrize(("wall", "server", "expected"), FIRST.values(), ids=FIRST)
def test_at_first_the_clock_counts_that_says_more(wall, server, expected):
    assert Clocks(wall=wall, server=server).kept.now_s() == expected


JUMPS = {
    "ours ahead": (4000.0, 0.0, 0.0),
    "ours back": (-4000.0, 0.0, 0.0),
    "the server's ahead": (0.0, 4000.0, 0.0),
    "the server's back": (0.0, -4000.0, 0.0),
    "both ahead": (4000.0, 4000.0, 4000.0),
    "both back": (-4000.0, -4000.0, -4000.0),
    "both a little ahead": (50.0, 50.0, 50.0),
    "both a little back": (-50.0, -50.0, 0.0),
}


@pytest.mark.parametrize(("ours", "servers", "moved"), JUMPS.values(), ids=JUMPS)
def test_a_jump_counts_where_both_clocks_made_it(ours, servers, moved):
    clocks = Clocks()
    clocks.kept.now_s()
    clocks.wall += ours
    clocks.server += servers
    assert clocks.later() == NOW + 3 + moved


def test_a_jump_of_ours_is_not_taken_for_the_servers_before_that_has_answered_again():
    clocks = Clocks()
    clocks.kept.now_s()
    clocks.wall, clocks.server = NOW + 4000, NOW + 4000
    assert clocks.kept.now_s() == NOW
    clocks.server = NOW
    assert clocks.later() == NOW + 3


def test_two_that_agree_for_a_moment_and_then_no_more_are_not_believed():
    clocks = Clocks()
    clocks.kept.now_s()
    for _ in range(5):
        clocks.wall, clocks.server = clocks.wall + 4000, clocks.server + 4000
        clocks.pass_(BELIEVED_AFTER_S / 2)
        clocks.kept.now_s()
        clocks.wall -= 4000
        clocks.pass_(BELIEVED_AFTER_S / 2)
        clocks.kept.now_s()
        clocks.server -= 4000
    assert clocks.kept.now_s() == NOW + 5 * BELIEVED_AFTER_S


def test_a_run_keeps_the_latest_time_and_a_later_one_does_not_know_it():
    clocks = Clocks()
    clocks.kept.of_runs(["old"])
    clocks.wall, clocks.server = NOW + 4000, NOW + 4000
    clocks.later()
    clocks.kept.of_runs(["old"])
    clocks.wall, clocks.server = clocks.wall - 4000, clocks.server - 4000
    clocks.later()
    assert clocks.kept.of_runs(["old", "new"]) == {"old": NOW + 4006, "new": NOW + 6}
    clocks.kept.of_runs(["new"])
    assert clocks.kept.of_runs(["old"]) == {"old": NOW + 6}


steps = st.tuples(
    st.floats(0, 100),
    st.sampled_from([0.0, 0.0, 30.0, -30.0, 4000.0, -4000.0]),
    st.sampled_from([0.0, 0.0, 30.0, -30.0, 4000.0, -4000.0]),
)


@given(st.lists(steps, max_size=30))
def test_no_run_is_ever_given_time_that_has_passed(jumps):
    """Whatever both clocks do: by the time of a run no less passes than has passed."""
    clocks = Clocks()
    (then_s,) = clocks.kept.of_runs(["a"]).values()
    for passed_s, ours, servers in jumps:
        clocks.pass_(passed_s)
        clocks.wall, clocks.server = clocks.wall + ours, clocks.server + servers
        (now_s,) = clocks.kept.of_runs(["a"]).values()
        assert now_s - then_s >= passed_s - 1e-6
        then_s = now_s
