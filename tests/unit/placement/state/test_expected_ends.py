"""When enough of a cell is free for good, whatever ends there and is claimed meanwhile."""

from __future__ import annotations

from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from hansa.placement.state.expected_ends import NEVER, Profile

ENDS = st.lists(st.tuples(st.integers(1, 30), st.integers(0, 8)), max_size=12)
CHANGES = st.lists(st.tuples(st.integers(0, 30), st.integers(-8, 8)), max_size=12)


def earliest(profile, need):
    """The moment after the last at which too little is free."""
    levels = list(accumulate(profile.gpus, initial=profile.free))
    short = [at for at, level in enumerate(levels) if level < need]
    if not short:
        return 0
    return profile.times[short[-1]] if short[-1] < len(profile.times) else NEVER


@given(st.integers(-4, 8), ENDS, CHANGES, st.integers(0, 12))
def test_room_is_expected_when_it_stays(free, ends, changes, need):
    ends.sort()
    profile = Profile(free, [at_s for at_s, _ in ends], [gpus for _, gpus in ends])
    assert profile.earliest(need) == earliest(profile, need)
    for at_s, gpus in changes:
        profile.add(at_s, gpus)
        assert profile.earliest(need) == earliest(profile, need)
