"""Whether a machine is away when a run ends is asked of its Node then, not of what was told before."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hansa.model.times import rfc3339
from hansa.reconcile.member.end_reasons import EndReason
from hansa.reconcile.member.workload import Finding
from tests.unit.grants.grant_kit import NOW_S
from tests.unit.member.runs.plain_job import (
    WORK,
    PlainJob,
)
from tests.unit.member.runs.pods.two_machines import (
    node,
    running,
    written,
)


class Looked(PlainJob):
    """Keeps which machines it was told are away."""

    def diagnose(self, end, traces):
        return Finding(end, f"away: {sorted(traces.away)}")


AWAY = {
    # What was told last; what its Node says when it is read; the rest of the cluster.
    "told to be away, and back": ("Unknown", "True", "True", "[]"),
    "told to be there, and away": ("True", "Unknown", "True", "['m2']"),
    "told to be away, and away": ("Unknown", "Unknown", "True", "['m2']"),
    "away like all others: what tells of them is at fault": ("Unknown", "Unknown", "False", "[]"),
}


@pytest.mark.parametrize("case", AWAY)
async def test_an_end_is_told_by_what_nodes_say_then(agent, monkeypatch, case):
    told, says, others, away = AWAY[case]
    monkeypatch.setattr(PlainJob, "diagnose", Looked.diagnose)
    async with running(agent):
        node(agent, "m2", told)
        written(agent, "m2", says)
        node(agent, "m1", others)
        ended = {"succeeded": 0, "startTime": rfc3339(NOW_S), "failed": 1}
        monkeypatch.setattr(PlainJob, "observe", failed(PlainJob.observe))
        agent.own.put(WORK, {**agent.own.objects[WORK], "status": ended})
        await agent.until(lambda: f"away: {away}" in agent.words("Running"))


def failed(observe):
    """Read a job that failed as one whose command did."""

    def read(self, thing):
        view = observe(self, thing)
        ended = bool((thing.get("status") or {}).get("failed"))
        return replace(view, end=EndReason.APP_FAILED, ended_s=NOW_S) if ended else view

    return read
