"""A run whose objects a cluster does not take, and does not refuse either, is given up after the start limit."""

from __future__ import annotations

import itertools

import pytest

from hansa.errors import NotYet, Retryable
from hansa.grants.envelope import workload_name
from hansa.grants.epochs import Outcome
from hansa.member import wiring
from hansa.member.runs.checkpoint_volumes import CLASSES, CheckpointVolumes
from hansa.process import workqueue
from hansa.reconcile.member.data import VOLUMES
from hansa.reconcile.member.platform import checkpoints
from tests.unit.grants.grant_kit import NOW_S, UID
from tests.unit.member.runs.plain_job import (
    NAMESPACE,
    RUN,
    SETTINGS,
    WORK,
    PlainJob,
    Running,
    working,
)
from tests.unit.member.runs.pods.two_machines import Ahead
from tests.unit.member.small_cluster import SmallCluster

WEBHOOK = '500 InternalError: failed calling webhook "mutate.mesh.example": connection refused'


@pytest.fixture
def agent(monkeypatch):
    monkeypatch.setattr(wiring, "WORKLOADS", (PlainJob(),))
    monkeypatch.setattr(workqueue, "LONGEST_RETRY_S", 0.02)
    made = Running()
    made.parts.context.clock = Ahead()
    return made


STEP_S = 170
"""Between two tries; as a hang of the server makes them come."""


def shut(agent, answers):
    """Have the making of a run's work meet each error in turn, and time pass; returns how often it was tried."""
    create, tries = agent.own.create, []

    async def refused(path, body):
        if body["kind"] == "Job":
            tries.append(path)
            error, after_s = next(answers, (None, 0))
            if error is not None:
                agent.parts.context.clock.steady_s += after_s
                raise error
        return await create(path, body)

    agent.own.create = refused
    return tries


DOWN = Retryable(WEBHOOK, after_s=0.01), STEP_S


async def test_a_webhook_that_is_down_for_good_ends_it_with_the_servers_words(agent):
    tries = shut(agent, itertools.repeat(DOWN))
    agent.granted()
    async with working(agent):
        await agent.until(lambda: agent.said("Released") is not None)
        assert agent.said("Running") == ("False", "RenderFailed")
        assert "failed calling webhook" in agent.words("Running")
        assert NAMESPACE not in agent.own.objects
    assert len(tries) == SETTINGS.timing.start_limit_seconds // STEP_S + 2


BUSY = Retryable("429 TooManyRequests", after_s=0.01), STEP_S
TURN = NotYet("aij-0-e1 still holds the job's checkpoints", after_s=0.01), STEP_S
GAP_S = SETTINGS.timing.start_limit_seconds + 1
INNOCENT = {
    "it is back in time": [DOWN] * 6,
    "nothing was tried for long": [DOWN, (BUSY[0], GAP_S)],
    "it waits for a run before it": [*[TURN] * 6, BUSY],
    "a wait between two failures": [*[DOWN] * 3, TURN, *[DOWN] * 3],
}


@pytest.mark.parametrize("answers", INNOCENT.values(), ids=INNOCENT)
async def test_what_is_nobodys_fault_costs_nothing(agent, answers):
    tries = shut(agent, iter(answers))
    agent.granted()
    async with working(agent):
        await agent.until(lambda: WORK in agent.own.objects or agent.said("Released") is not None)
        assert (len(tries), agent.said("Running")) == (len(answers) + 1, None)


async def test_a_run_before_it_that_never_lets_go_ends_it(agent):
    """It holds its GPUs while it waits."""
    shut(agent, itertools.repeat(TURN))
    agent.granted()
    async with working(agent):
        await agent.until(lambda: agent.said("Released") is not None)
        assert "still holds the job's checkpoints" in agent.words("Running")


async def test_it_is_not_ended_for_an_outage_in_which_nothing_could_be_written(agent):
    tries = shut(agent, iter([*[DOWN] * 7, BUSY]))
    put, cannot = agent.parts.context.epochs.put, []

    async def out(records):
        if any(one.outcome is Outcome.ENDED for one in records):
            cannot.append(len(tries))
            raise Retryable("no answer", after_s=0.01)
        await put(records)

    agent.parts.context.epochs.put = out
    agent.granted()
    async with working(agent):
        await agent.until(lambda: WORK in agent.own.objects)
    assert cannot == [7]


async def test_it_waits_for_the_run_that_holds_its_jobs_checkpoints():
    own = SmallCluster(NOW_S)
    own.put(f"{CLASSES}/kept", {"metadata": {"name": "kept"}, "reclaimPolicy": checkpoints.KEPT})
    claim = {"namespace": workload_name(UID, 2), "name": checkpoints.CLAIM}
    spec = {"storageClassName": "kept", "persistentVolumeReclaimPolicy": "Retain"}
    spec["claimRef"] = claim
    held = {"metadata": {"name": "v"}, "spec": spec, "status": {"phase": "Bound"}}
    own.put(f"{VOLUMES}/v", held)
    with pytest.raises(NotYet, match="still holds"):
        await CheckpointVolumes(own, Ahead(), checkpoints.CheckpointRules("kept", "1Gi")).lend(RUN)
