"""How long the judge waits for the end of a rush of grants."""

import pytest

from hansa.member.judge import pause_after

PAUSES = {
    "one grant": (1, 0.0, False, 0.02),
    "a rush": (1000, 3.0, False, 0.25),
    "a rush that does not end": (1000, 9.9, False, 0.1),
    "enough": (1000, 10.5, False, 0.0),
    "others wait already": (1, 0.0, True, 0.0),
    "nothing was left to judge": (0, 0.0, False, 0.0),
}


@pytest.mark.parametrize("case", PAUSES.values(), ids=PAUSES.keys())
def test_accepted_work_waits_for_the_end_of_a_rush_but_not_for_ever(case):
    judged, spent_s, backlog, expected = case
    assert pause_after(judged, spent_s, backlog=backlog) == pytest.approx(expected)
