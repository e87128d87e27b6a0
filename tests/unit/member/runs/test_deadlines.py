"""Runs end in time without an event, and without a worker that is free or a hub that answers."""

from __future__ import annotations

import asyncio

import pytest

from hansa.grants.epochs import Outcome
from hansa.member import wiring
from hansa.member.cluster.policy import HeldPolicy
from hansa.reconcile.member.end_reasons import EndReason
from tests.unit.grants.grant_kit import UID, policy
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
