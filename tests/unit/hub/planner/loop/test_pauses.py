"""Between two plans of what changed is a pause; a hub to which nothing happened for long has had it."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from tests.unit.hub import kit

TAKES_S = 1.0
SINCE_LAST_S = {
    "right after a plan": (0.0, 2 * TAKES_S),
    "within the pause": (0.5, 2 * TAKES_S - 0.5),
    "long after it": (60.0, 0.0),
}


async def paused_s(hub, since_s, monkeypatch):
    """Plan twice, ``since_s`` apart, each for ``TAKES_S``; return how long the second waited."""
    told, slept, sleep, update = asyncio.Event(), [0.0], asyncio.sleep, hub.plans._kept.update

    async def skip(seconds):
        slept.append(seconds)
        hub.clock.now_s += seconds
        await sleep(0)

    async def slow(events, now_s):
        hub.clock.now_s += TAKES_S
        return await update(events, now_s)

    monkeypatch.setattr(asyncio, "sleep", skip)
    monkeypatch.setattr(hub.plans._kept, "update", slow)
    hub.plans._full.from_s = float("inf")
    task = asyncio.create_task(hub.plans.run(lambda _: told.set()))
    for name in ("a", "b"):
        kit.submit(hub.store, name, **kit.gpus(1))
        slept.clear()
        told.clear()
        hub.hear()
        await told.wait()
        hub.clock.now_s += since_s
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    return max(slept)


@pytest.mark.parametrize("case", SINCE_LAST_S)
async def test_a_pause_counts_from_the_plan_before(case, hub, monkeypatch):
    since_s, expected_s = SINCE_LAST_S[case]
    assert await paused_s(hub, since_s, monkeypatch) == pytest.approx(expected_s)
