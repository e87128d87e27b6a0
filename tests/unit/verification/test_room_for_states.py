"""A job that commits checkpoints declares a result that holds them: what is larger is withheld, and never audited."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from hansa.api.aijob import AIJobSpec
from hansa.verification.segments import Grid, Stretch
from tests.unit.grants.grant_kit import job

GRIDS = {
    "one step": (1, 1, 168),
    "all the segments there may be": (480, 10, 4096),
    "the same of the longest job": (999_999_999, 20_833_334, 4096),
    "eleven states": (40, 4, 924),
    "a short last segment": (41, 4, 1008),
    "one long segment, of which an audit tells the steps between": (999_999_999, 999_999_999, 2856),
    "segments longer than the run": (7, 100, 672),
    "two short segments": (20, 10, 924),
}


def tells(*steps: int) -> int:
    """Return the bytes of a result that tells the states at these steps."""
    return len(json.dumps({"checkpoints": {str(step): "a" * 64 for step in steps}}))


def spec(steps: int, every: int, room: int) -> AIJobSpec:
    comparator = {"checkpoints": {"steps": steps, "every": every}}
    return AIJobSpec.model_validate(job(comparator=comparator, result={"maxBytes": room}))


@pytest.mark.parametrize(("steps", "every", "room"), GRIDS.values(), ids=GRIDS)
def test_the_declared_result_has_room_for_what_the_job_and_its_audits_tell(
    steps: int, every: int, room: int
):
    spec(steps, every, room)
    at = Grid(steps, every).at
    last = Stretch(at[-2], at[-1], "a" * 64)
    first = Stretch(at[0], at[1], "a" * 64)
    assert max(tells(*at), *(tells(one.first, *one.say, one.last) for one in (first, last))) <= room
    for less in (room - 1, 1):
        with pytest.raises(ValidationError, match=rf"result.maxBytes: .* at least {room}"):
            spec(steps, every, less)


def test_a_job_without_checkpoints_declares_what_it_likes():
    AIJobSpec.model_validate(job(comparator={"absolute": "0.1"}, result={"maxBytes": 1}))
