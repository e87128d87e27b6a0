"""An agent of which the tests move the clock."""

from __future__ import annotations

import pytest

from hansa.member import wiring
from tests.unit.member.runs.plain_job import PlainJob, Running
from tests.unit.member.runs.pods.two_machines import Ahead


@pytest.fixture
def agent(monkeypatch):
    monkeypatch.setattr(wiring, "WORKLOADS", (PlainJob(),))
    made = Running()
    made.parts.context.clock = Ahead()
    return made
