"""What the agent's probes answer: whether it works, could at once, or is to be started again."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from hansa.member.health import DEAF_AFTER_S, AgentStatus


def status(starting: str = "", silent_s: float | None = None, trouble: str | None = None) -> Any:
    """``silent_s``: of the own cluster, where this replica leads; ``trouble``: of the election."""
    agent = AgentStatus(starting)
    if silent_s is not None:
        namespaces = SimpleNamespace(last_event_age_s=silent_s)
        agent.context = SimpleNamespace(namespaces=namespaces)  # type: ignore[assignment]
    if trouble is not None:
        election = SimpleNamespace(election=SimpleNamespace(trouble=trouble))
        agent.leadership = election  # type: ignore[assignment]
    return agent


NO, JOIN = "lease x not read or written: no answer", "not joined: run `hansa join`"
CASES = {
    "just begun": (status("starting"), "starting", "", False),
    "waits to be joined": (status(JOIN), JOIN, "", False),
    "another leads": (status("taking over", trouble=""), "", "", False),
    "cannot stand for election": (status("taking over", trouble=NO), NO, "", False),
    "takes over": (status("taking over", 0.0, ""), "taking over", "", False),
    "takes over, and has heard nothing yet": (
        status("taking over", DEAF_AFTER_S + 1, ""),
        "taking over",
        "",
        False,
    ),
    "works": (status("", DEAF_AFTER_S, ""), "", "", True),
    "works, and its Lease cannot be renewed just now": (status("", 0.0, NO), "", "", True),
    "hears nothing of its own cluster": (
        status("", DEAF_AFTER_S + 1, ""),
        "",
        "own cluster silent for 301 s",
        True,
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_probes(case):
    agent, ready, healthy, works = case
    assert (agent.ready(), agent.healthy(), agent.working) == (ready, healthy, works)
