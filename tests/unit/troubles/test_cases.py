"""A trouble names the end that is right: none of them is content with a job that merely ended."""

from __future__ import annotations

from unittest.mock import MagicMock

import pytest

from e2e.troubles import cases
from e2e.troubles.stage import Line, Told
from hansa.api.job.retry import Cause

SUCCEEDED = "Succeeded True (Finished): It ended."
ENDS = (SUCCEEDED, *(f"Failed True ({cause}): It ended." for cause in Cause))
RETRIED = "tried again, 1 times (RayFailed): It ended."


def passes(monkeypatch, trouble, *lines):
    """Tell whether a trouble takes a job of which no more is told for what is right."""
    monkeypatch.setattr(cases, "wait_until", lambda *_, **__: None)
    for name in ("close_way", "_proxy"):
        monkeypatch.setattr(cases, name, MagicMock())
    monkeypatch.setattr(cases.subprocess, "Popen", MagicMock())
    stage = MagicMock()
    stage.command.return_value, stage.hub.url = "", "https://hub.example:6443"
    stage.league.runs.return_value = ["aij-1-e1"]
    stage.league.members.__getitem__.return_value.machines = [MagicMock(), MagicMock()]
    stage.read_until.side_effect = lambda *_, **__: Told([Line(1, line) for line in lines])
    try:
        trouble.play(stage)
    except AssertionError:
        return False
    return True


@pytest.mark.parametrize("trouble", cases.TROUBLES, ids=lambda trouble: trouble.title)
def test_not_any_end_is_right(monkeypatch, trouble):
    assert sum(passes(monkeypatch, trouble, end) for end in ENDS) <= 1


def test_a_program_that_takes_too_much_runs_once(monkeypatch):
    (memory,) = (one for one in cases.TROUBLES if one.play is cases.memory)
    assert passes(monkeypatch, memory, "Failed True (OutOfMemory): It was.")
    assert not passes(monkeypatch, memory, RETRIED, "Failed True (OutOfMemory): It was.")
