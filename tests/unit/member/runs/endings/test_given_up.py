"""A run that ended because nobody told its pods that they may live is interrupted, and no failure of its job."""

from __future__ import annotations

import contextlib

import pytest

from hansa.model.times import rfc3339
from hansa.reconcile.member.contracts import alive
from hansa.reconcile.member.contracts.time_limits import UNATTENDED_ANNOTATION
from hansa.reconcile.member.ray.rayjob_view import GAVE_UP
from tests.unit.grants.grant_kit import NOW_S
from tests.unit.member.runs.plain_job import GRANT, NAMESPACE, RUN, Running, working

RAYJOB = f"/apis/ray.io/v1/namespaces/{RUN}/rayjobs/{RUN}"
FILE = f"{NAMESPACE}/configmaps/{alive.NAME}"
LAPSED, STANDS = NOW_S + 600, NOW_S + 9000
FAILED_1 = "Job entrypoint command failed with exit code 1,"
CASES = {
    "its file was stale": (LAPSED, "", 700, "Unattended"),
    "its machine had an older file than the API server has": (STANDS, GAVE_UP, 3500, "Unattended"),
    "no file can have been stale yet": (STANDS, GAVE_UP, 30, "NeverStarted"),
    "its own command failed": (STANDS, FAILED_1, 700, ""),
    "its own command only says so": (STANDS, f"{FAILED_1} last lines: {GAVE_UP}", 3500, ""),
    "Ray's own words": (STANDS, f"it printed {GAVE_UP}", 3500, "RayFailed"),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_how_a_failure_is_told(case):
    until_s, message, after_s, interrupted = case
    async with made() as agent:
        await fails(agent, until_s, message, after_s)
    assert agent.said("Running") == ("False", interrupted or "AppFailed")
    assert (agent.said("Failed") is None) is bool(interrupted)


async def test_how_soon_its_file_may_be_stale_is_noted_on_its_namespace():
    """The agent's settings may have grown since it was made."""
    async with made() as agent:
        metadata = agent.own.objects[NAMESPACE]["metadata"]
        notes = metadata["annotations"] | {UNATTENDED_ANNOTATION: "45"}
        agent.own.put(NAMESPACE, {"metadata": metadata | {"annotations": notes}})
        await fails(agent, STANDS, GAVE_UP, 300)
    assert agent.said("Running") == ("False", "Unattended")


@contextlib.asynccontextmanager
async def made():
    agent = Running()
    agent.granted()
    async with working(agent):
        await agent.until(lambda: RAYJOB in agent.own.objects)
        yield agent


async def fails(agent, until_s, message, after_s):
    data = alive.validity(NOW_S, until_s)
    agent.own.put(FILE, {"metadata": {"name": alive.NAME, "namespace": RUN}, "data": data})
    ended = {
        "jobStatus": "FAILED",
        "jobDeploymentStatus": "Complete",
        "message": message,
        "startTime": rfc3339(NOW_S),
        "endTime": rfc3339(NOW_S + after_s),
    }
    agent.own.put(RAYJOB, agent.own.objects[RAYJOB] | {"status": ended})
    await agent.until(lambda: "release" in agent.status())
    assert GRANT in agent.hub.objects
