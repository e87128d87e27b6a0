"""What the past tells of a job's run time: the narrowest group with enough past speaks."""

from __future__ import annotations

import pytest

from hansa.model.history import (
    ANY,
    ENOUGH,
    RunTimes,
    expected,
    groups_of,
    request_bucket,
    size_bucket,
)

ASKED = {"gpus": 2, "max_runtime_s": 7200}
EXACT = ("ut", size_bucket(2), request_bucket(7200))
REQUEST = ("ut", ANY, request_bucket(7200))
SIZE = ("ut", size_bucket(2), ANY)


def times(count: int, seconds: float = 100.0) -> RunTimes:
    return RunTimes.fit([seconds] * count)


PASTS = {
    "the exact group": ({EXACT: ENOUGH, REQUEST: ENOUGH, SIZE: ENOUGH}, EXACT),
    "too few alike, so all who asked for as long": ({EXACT: 1, REQUEST: ENOUGH, SIZE: 1}, REQUEST),
    "few at all, so all of the size": ({EXACT: 1, REQUEST: ENOUGH - 1, SIZE: 1}, SIZE),
    "nothing of its size": ({EXACT: 1, REQUEST: 1}, None),
    "a fit of nothing": ({SIZE: 0}, None),
    "nobody's": ({}, None),
    "others'": ({("ua", *EXACT[1:]): ENOUGH}, None),
}


@pytest.mark.parametrize(("counts", "group"), PASTS.values(), ids=PASTS)
def test_the_narrowest_group_with_enough_past_speaks(counts, group):
    history = {key: times(count, 100.0 + at) for at, (key, count) in enumerate(counts.items())}
    told = expected(history, "ut", **ASKED)
    assert told == (None if group is None else history[group])


def test_a_job_tells_of_its_groups_from_narrow_to_broad():
    assert groups_of("ut", **ASKED) == (EXACT, REQUEST, SIZE)


def test_times_within_a_factor_of_two_are_one_request():
    assert request_bucket(4096) == request_bucket(8191) != request_bucket(8192)
    assert request_bucket(0) == request_bucket(1)
