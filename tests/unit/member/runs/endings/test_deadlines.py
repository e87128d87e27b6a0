"""Runs end in time without an event, and without a worker that is free or a hub that answers."""

from __future__ import annotations

import asyncio

import pytest

from hansa.errors import HansaError, Retryable, Terminal
from hansa.grants.epochs import Outcome
from hansa.member import wiring
from hansa.member.cluster.policy import HeldPolicy
from hansa.model.times import rfc3339
from hansa.reconcile.member.end_reasons import EndReason
from tests.unit.grants.grant_kit import FOREIGN, NOW_S, UID, policy
from tests.unit.member.runs.plain_job import NAMESPACE, RUN, WORK, PlainJob, Running, working


@pytest.fixture
def agent(monkeypatch):
    monkeypatch.setattr(wiring, "WORKLOADS", (PlainJob(),))
    return Running()


async def stopped(agent):
    """Let only the deadlines be watched: the workers are away, and the hub answers nobody."""

    async def silence(*_, **__):
        await asyncio.Event().wait()

    agent.hub.replace = agent.hub.merge = silence
    watch = asyncio.create_task(agent.parts.run_controller.watch_deadlines())
    try:
        await agent.until(lambda: NAMESPACE not in agent.own.objects)
    finally:
        watch.cancel()
    return agent.parts.context.epochs.records.get(UID, 3)


async def test_a_switch_thrown_ends_what_runs(agent):
    agent.granted()
    async with working(agent):
        await agent.until(lambda: WORK in agent.own.objects)
    law = policy(datasets=[], switch="Stopped")
    agent.parts.context.cluster_state.put_policy(HeldPolicy(law, 2, "u", ""))
    record = await stopped(agent)
    assert (record.outcome, record.reason) == (Outcome.ENDED, EndReason.STOPPED)


async def test_a_hub_that_is_silent_for_too_long_ends_what_runs(agent):
    agent.granted()
    async with working(agent):
        await agent.until(lambda: WORK in agent.own.objects)
    contact = agent.parts.context.contact
    contact._monotonic -= 86_400
    agent.parts.context.clock.now = lambda: contact.last_s + 86_400
    record = await stopped(agent)
    assert (record.outcome, record.reason) == (Outcome.ENDED, EndReason.UNATTENDED)
    assert agent.parts.context.run_index.get(RUN) is not None


async def test_a_stop_waits_for_no_receipt(agent):
    """Whatever holds the pages of receipts up: an API server that takes its time, or a long write."""
    agent.granted()
    async with working(agent):
        await agent.until(lambda: WORK in agent.own.objects)
    law = policy(datasets=[], switch="Stopped")
    agent.parts.context.cluster_state.put_policy(HeldPolicy(law, 2, "u", ""))
    async with agent.parts.context.receipts._lock:
        record = await stopped(agent)
    assert (record.outcome, record.reason) == (Outcome.ENDED, EndReason.STOPPED)


FOREIGN_HUB = [{"name": "other", "publicKey": FOREIGN.public_key}]


def decree(agent, **changes):
    law = policy(datasets=[], **changes)
    agent.parts.context.cluster_state.put_policy(HeldPolicy(law, 2, "u", ""))


def later(agent, seconds=86_400):
    agent.parts.context.clock.now = lambda: NOW_S + seconds


STOPS = {
    "the switch": lambda agent: decree(agent, switch="Stopped"),
    "a hub's key removed": lambda agent: decree(agent, trustedHubs=FOREIGN_HUB),
    "a hub that is silent": later,
}
FULL, AWAY = Terminal("413 too large"), Retryable("connection reset")


def failing(agent, method: str, error: HansaError, *, where: str, times: int = 1 << 30):
    """Have writes fail; returns what was tried."""
    act, tried = getattr(agent.own, method), []

    async def write(path, *args, **options):
        if where in path and len(tried) < times:
            tried.append(path)
            raise error
        return await act(path, *args, **options)

    setattr(agent.own, method, write)
    return tried


@pytest.mark.parametrize("error", [FULL, AWAY])
@pytest.mark.parametrize("stop", STOPS.values(), ids=STOPS)
async def test_what_must_not_go_on_is_deleted_also_where_nothing_more_can_be_remembered(
    agent, stop, error
):
    agent.granted()
    async with working(agent):
        await agent.until(lambda: WORK in agent.own.objects)
    tried = failing(agent, "merge", error, where="hansa-epochs")
    stop(agent)
    record = await stopped(agent)
    assert record.outcome is Outcome.ACCEPTED
    assert tried


async def test_a_deletion_that_fails_is_tried_again(agent):
    agent.granted()
    async with working(agent):
        await agent.until(lambda: WORK in agent.own.objects)
    failing(agent, "merge", FULL, where="hansa-epochs")
    tried = failing(agent, "delete", AWAY, where=RUN, times=3)
    decree(agent, switch="Stopped")
    await stopped(agent)
    assert len(tried) == 3


async def test_an_end_that_the_hub_is_to_hear_of_is_remembered_before_anything_is_deleted(agent):
    """A run that had its time has failed: what is deleted and not remembered would begin anew."""
    agent.granted(maxRuntimeSeconds=600)
    async with working(agent):
        await agent.until(lambda: WORK in agent.own.objects)
        agent.own.put(WORK, {**agent.own.objects[WORK], "status": {"startTime": rfc3339(NOW_S)}})
        await agent.until(lambda: agent.said("Running") == ("True", "Running"))
    tried = failing(agent, "merge", AWAY, where="hansa-epochs", times=5)
    later(agent, 700)
    record = await stopped(agent)
    assert (record.outcome, record.reason) == (Outcome.ENDED, EndReason.DEADLINE_EXCEEDED)
    assert len(tried) == 5
