"""Ways in which an agent can be unable to act."""

from __future__ import annotations

import os
import signal

import pytest

from hansa.errors import HansaError
from hansa.member.state.epoch_store import NAME, PAGES
from tests.apiserver.guard.kit import NAMESPACES, SYSTEM
from tests.apiserver.member.agent_process import AgentProcess
from tests.apiserver.member.kit import Member

PAGE_BYTES = 1 << 20
"""What the values of a ConfigMap may come to."""
HALVES = ("first", "second")
PAGE = f"{NAMESPACES}/{SYSTEM}/configmaps/" + NAME


async def kill(agent: AgentProcess, _: Member) -> None:
    agent.kill()


async def freeze(agent: AgentProcess, _: Member) -> None:
    os.kill(agent.pid, signal.SIGSTOP)


async def fill_its_memory(_: AgentProcess, member: Member) -> None:
    """Every page is so full that the API server refuses to remember one end more."""
    for number in range(PAGES):
        path = PAGE.format(number)
        held = (await member.cluster.get(path)).get("data") or {}
        room = PAGE_BYTES - sum(len(value) for value in held.values())
        for key, size in ((HALVES[0], room // 2), (HALVES[1], room - room // 2)):
            await member.cluster.merge(path, {"data": {key: "x" * size}})
    with pytest.raises(HansaError):
        await member.cluster.merge(path, {"data": {"more": "x"}})


async def empty_its_memory(member: Member) -> None:
    for number in range(PAGES):
        await member.cluster.merge(PAGE.format(number), {"data": dict.fromkeys(HALVES)})
