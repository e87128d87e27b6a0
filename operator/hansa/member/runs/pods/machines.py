"""What Nodes say when they are asked: what was told of them may be older than an outage of what tells."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from hansa.errors import NotFound
from hansa.member.context import AgentContext
from hansa.reconcile.member.inventory.lost_machines import is_ready

MOST_AT_ONCE = 8
"""Reads at a time, of Nodes as of runs' pods."""


async def away(context: AgentContext, machines: Iterable[str]) -> frozenset[str]:
    """Return those of some machines that are not Ready now, or are no more.

    While no machine at all is known to be Ready, what tells of them is at fault: then only those that are no more.
    Each answer counts as one: many that are read in turn take longer than the server may be silent.
    """
    free, told = asyncio.Semaphore(MOST_AT_ONCE), context.cluster_state.lost_machines

    async def is_away(machine: str) -> bool:
        async with free:
            try:
                node = await context.own.get(f"/api/v1/nodes/{machine}")
            except NotFound:
                node = None
        told.answered(context.clock.monotonic())
        if node is None:
            return True
        if is_ready(node):
            told.back(machine, context.clock.monotonic())
            return False
        return told.knows_any

    names = sorted(machines)
    found = await asyncio.gather(*map(is_away, names))
    return frozenset(name for name, gone in zip(names, found, strict=True) if gone)
