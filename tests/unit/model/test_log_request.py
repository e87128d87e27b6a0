"""A request for a log stands for a while, in one form only."""

from __future__ import annotations

import pytest

from hansa.model.log_request import LONGEST_S, LogRequest, read_log_request
from hansa.model.times import rfc3339

NOW_S = 1_800_000_000.0
ASKED = LogRequest(NOW_S + 60, 2, 4096)


def until(seconds: float) -> str:
    return f"{rfc3339(NOW_S + seconds)} epoch=2 from=4096"


READ = {
    "as written": (str(ASKED), 0.0, ASKED),
    "the longest": (until(LONGEST_S), 0.0, LogRequest(NOW_S + LONGEST_S, 2, 4096)),
    "too long": (until(LONGEST_S + 1), 0.0, None),
    "too long, by a clock that may be wrong": (
        until(LONGEST_S + 1),
        60.0,
        LogRequest(NOW_S + LONGEST_S + 1, 2, 4096),
    ),
    "run out": (until(0), 0.0, None),
    "run out, by a clock that may be wrong": (until(-59), 60.0, LogRequest(NOW_S - 59, 2, 4096)),
    "no text": (7, 0.0, None),
    "nothing": ("", 0.0, None),
    "no such day": ("2027-13-45T00:00:00Z epoch=2 from=1", 0.0, None),
    "a negative byte": (until(60).replace("4096", "-1"), 0.0, None),
    "more behind it": (until(60) + "\n", 0.0, None),
    "a byte beyond every log": (until(60).replace("4096", "9" * 16), 0.0, None),
    "run zero": (until(60).replace("epoch=2", "epoch=0"), 0.0, None),
}


@pytest.mark.parametrize("case", READ)
def test_what_stands(case):
    text, skew_s, found = READ[case]

    assert read_log_request(text, NOW_S, skew_s) == found
