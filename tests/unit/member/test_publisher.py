"""What tells the hub and home how the member is: its loop, without what it tells."""

import asyncio
from types import SimpleNamespace

import pytest

from hansa.member import publisher
from hansa.model.times import rfc3339
from tests.unit.grants.grant_kit import NOW_S
from tests.unit.member.runs.test_another_workload import NAMESPACE, RUN, Running, working


@pytest.mark.parametrize("ticks", range(5))
async def test_it_ends_when_it_is_cancelled_just_as_something_changes(monkeypatch, ticks):
    """A deposed agent waits for its duties to end: one that goes on leaves the member without any."""
    context = SimpleNamespace(
        dirty=asyncio.Event(), settings=SimpleNamespace(node="tartu"), signer=None
    )
    monkeypatch.setattr(publisher, "PAUSE_S", 0)
    said = publisher.Publisher(context, release_key="", token_end_s=lambda: None)

    async def publish():
        return

    monkeypatch.setattr(said, "_publish", publish)
    task = asyncio.create_task(said.run())
    for _ in range(10):
        await asyncio.sleep(0)
    context.dirty.set()
    for _ in range(ticks):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait((task,), timeout=0.2)

    assert task.cancelled()


async def test_a_namespace_that_hangs_is_named_at_home():
    agent = Running()
    metadata = {"name": RUN, "labels": {"hansa.dev/job-uid": "u", "hansa.dev/node": "tartu"}}
    metadata |= {"deletionTimestamp": rfc3339(NOW_S - 600), "finalizers": ["hansa.test/kept"]}
    agent.own.put(NAMESPACE, {"metadata": metadata})
    context = agent.parts.context
    said = publisher.Publisher(context, release_key="", token_end_s=lambda: None)
    async with working(agent):
        said._assess()
    assert said.health.removal.startswith(f"{RUN} is Terminating since ")
