"""A dead hub does not look healthy: its Lease is held and fresh, or the commands say that it is not."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from hansa.api.kinds import COMPUTEPOOL
from hansa.cli.health.finding import Finding
from hansa.cli.health.hub_lease import ask_for_hub, judge_leases
from hansa.cli.league import overview
from hansa.errors import Terminal
from hansa.model.times import rfc3339_micro
from hansa.ports import Page
from hansa.reconcile.hub.leaders.claims import ELSEWHERE_ANNOTATION

NOW_S = 1_800_000_000.0


POOLS = ("north", "south")


def lease(
    age_s=2.0, holder="hub-0", *, space="hansa-system", duration=15, name="hansa-hub", **notes
):
    spec = {"holderIdentity": holder, "leaseDurationSeconds": duration}
    renewed = {} if age_s is None else {"renewTime": rfc3339_micro(NOW_S - age_s)}
    meta = {"name": name, "namespace": space, "annotations": notes}
    return {"metadata": meta, "spec": spec | renewed}


LEASES = {
    "leads": ([lease()], True, "hub-0 leads: Lease hansa-system/hansa-hub, last renewed 2 s ago"),
    "clocks differ": ([lease(-40)], True, "hub-0 leads"),
    "just in time": ([lease(75)], True, "hub-0 leads"),
    "died": ([lease(76)], False, "no hub works: hub-0 held Lease hansa-system/hansa-hub"),
    "died long ago": ([lease(3 * 86_400)], False, "last renewed 3 d ago"),
    "went properly": ([lease(5, "", duration=1)], False, "no hub leads: nobody holds"),
    "held without a time": ([lease(None)], False, "hansa-system/hansa-hub, never renewed"),
    "there never was one": ([], False, "no hub has ever led here"),
    "an old one beside": ([lease(9000, space="old"), lease()], True, "hub-0 leads"),
}


@pytest.mark.parametrize(("leases", "good", "words"), LEASES.values(), ids=LEASES)
def test_a_lease_tells_whether_a_hub_works(leases, good, words):
    finding = judge_leases(leases, NOW_S)
    assert finding.good is good
    assert words in finding.detail


class Server:
    """Answers with leases, or refuses; its clock is an hour ahead of ours."""

    server_time_skew_s = 3600.0

    def __init__(self, answer):
        self.answer = answer

    async def list(self, path, *, fields=""):
        if isinstance(self.answer, Exception):
            raise self.answer
        if path == COMPUTEPOOL.path():
            return Page([{"metadata": {"name": name}} for name in POOLS], "1")
        assert path == "/apis/coordination.k8s.io/v1/leases"
        name = fields.removeprefix("metadata.name=")
        return Page([one for one in self.answer if one["metadata"]["name"] == name], "1")


class OurClock:
    def now(self):
        return NOW_S - 3600


async def test_the_servers_clock_counts():
    assert (await ask_for_hub(Server([lease()]), clock=OurClock())).good is True
    assert (await ask_for_hub(Server([lease(3600)]), clock=OurClock())).good is False


def divided(*pools):
    return lease(**{ELSEWHERE_ANNOTATION: " ".join(pools)})


DIVIDED = {
    "all lead": ([divided("north"), lease(name="hansa-hub.north", holder="n")], True, "n leads"),
    "a pool's hub is gone": (
        [divided("north"), lease(900, name="hansa-hub.north", holder="n")],
        False,
        "pool north: no hub works: n held Lease hansa-system/hansa-hub.north",
    ),
    "its Lease too": (
        [divided("north", "south"), lease(name="hansa-hub.south")],
        False,
        "there is no Lease hansa-hub.north; its hub has to run",
    ),
    "the main hub is gone": (
        [lease(900, **{ELSEWHERE_ANNOTATION: "north"}), lease(name="hansa-hub.north")],
        False,
        "no hub works: hub-0 held Lease hansa-system/hansa-hub, last",
    ),
    "misspelt": (
        [divided("nroth"), lease(name="hansa-hub.nroth")],
        False,
        "pool nroth is claimed by a leader and does not exist: make it, or take it out",
    ),
}


@pytest.mark.parametrize("case", DIVIDED)
async def test_every_leader_counts(case):
    leases, good, words = DIVIDED[case]
    finding = await ask_for_hub(Server(leases), clock=OurClock())
    assert finding.good is good
    assert words in finding.detail


async def test_who_may_not_look_is_not_told_that_all_is_well():
    finding = await ask_for_hub(Server(Terminal("403 Forbidden: leases", status=403)))
    assert finding.good is None
    assert "cannot be told" in finding.detail


EXITS = {"works": (True, 0), "dead": (False, 3), "hidden": (None, 0)}


@pytest.mark.parametrize(("good", "code"), EXITS.values(), ids=EXITS)
@pytest.mark.parametrize("command", [overview.status, overview.nodes], ids=["status", "nodes"])
def test_the_exit_code_says_it(monkeypatch, command, good, code):
    answers = ([], [], []) if command is overview.status else []
    said = (Finding("Hub", good, "as it is"), answers)
    monkeypatch.setattr("hansa.cli.access.Access.ask", lambda *_: said)
    for output in ("table", "json"):
        result = CliRunner().invoke(command, ["-o", output])
        assert result.exit_code == code
        assert "Hub: as it is" in result.stdout
        assert ("nothing new starts" in result.stdout) is (good is False)
