"""An epoch begins once: what somebody deletes is given back, also where the agent has not seen it made."""

from __future__ import annotations

import pytest

from hansa.errors import NotFound, Retryable
from hansa.grants.epochs import Outcome
from hansa.member import wiring
from tests.unit.grants.grant_kit import UID
from tests.unit.member.runs.plain_job import (
    NAMESPACE,
    RUN,
    WORK,
    PlainJob,
    Running,
    working,
)

GIVEN_BACK = ("True", "DeletedAtMember")


class Counted(Running):
    """An agent whose creations are noted, and meet whatever a test has in mind."""

    def __init__(self, own=None):
        super().__init__(own)
        self.made: list[str] = []
        create = self.own.create

        async def noted(path, body):
            where = f"{path}/{body['metadata']['name']}"
            if RUN in where:
                self.made.append(where)
                await self.meets(where)
            return await create(path, body)

        self.own.create = noted

    async def meets(self, where):
        """Do what a test has in mind before an object is made."""

    @property
    def record(self):
        return self.parts.context.epochs.records.get(UID, 3)

    async def gives_it_back(self):
        await self.until(lambda: self.said("Released") is not None)
        assert self.said("Released") == GIVEN_BACK
        assert self.record.outcome is Outcome.ENDED


async def takes_over(agent):
    """Return an agent that begins where another has died."""
    heir = Counted(agent.own)
    heir.hub.objects = agent.hub.objects
    await heir.parts.context.epochs.load()
    return heir


@pytest.fixture
def agent(monkeypatch):
    monkeypatch.setattr(wiring, "WORKLOADS", (PlainJob(),))
    return Counted()


async def test_that_it_begins_is_durable_before_what_does_its_work_is_made(agent):
    begun = {}

    async def look(where):
        begun[where] = agent.record.begun

    agent.meets = look
    agent.granted()
    async with working(agent):
        await agent.until(lambda: WORK in agent.own.objects)
    assert (begun[NAMESPACE], begun[WORK]) == (False, True)


async def test_a_run_that_the_guard_ends_as_soon_as_it_is_made_is_not_made_anew(agent):
    agent.granted()
    async with working(agent):
        await agent.until(lambda: WORK in agent.own.objects)
        await agent.own.delete(NAMESPACE)
        await agent.gives_it_back()
    assert agent.made.count(WORK) == 1


async def test_a_run_whose_object_alone_is_deleted_is_not_made_anew(agent):
    agent.granted()
    async with working(agent):
        await agent.until(lambda: WORK in agent.own.objects)
        await agent.own.delete(WORK)
        await agent.gives_it_back()
    assert (agent.made.count(WORK), NAMESPACE in agent.own.objects) == (1, False)


async def test_a_run_that_goes_while_its_agent_is_dead_is_not_made_anew(agent):
    """Nobody has told the hub that it runs, and only memory has it that it began."""
    agent.granted()
    async with working(agent):
        await agent.until(lambda: WORK in agent.own.objects)
    await agent.own.delete(NAMESPACE)
    heir = await takes_over(agent)
    async with working(heir):
        await heir.gives_it_back()
    assert heir.made == []


async def test_a_run_that_goes_after_memory_was_lost_is_not_made_anew(agent):
    """Its namespace said that it began, for as long as that was there."""
    agent.granted()
    async with working(agent):
        await agent.until(lambda: WORK in agent.own.objects)
    for page in [path for path in agent.own.objects if "/configmaps/hansa-epochs" in path]:
        agent.own._drop(page)
    heir = await takes_over(agent)
    async with working(heir):
        await heir.until(lambda: heir.record is not None)
    await agent.own.delete(NAMESPACE)
    last = await takes_over(heir)
    async with working(last):
        await last.until(lambda: last.made or last.said("Released") is not None)
    assert (last.made, last.said("Released")) == ([], GIVEN_BACK)


async def test_a_run_that_is_deleted_while_it_is_made_is_no_fault_of_its_node(agent):
    """The object that does the work finds no namespace any more."""

    async def guard_ends_it(where):
        if where == WORK:
            await agent.own.delete(NAMESPACE)
            raise NotFound(NAMESPACE)

    agent.meets = guard_ends_it
    agent.granted()
    async with working(agent):
        await agent.gives_it_back()
    assert agent.made.count(NAMESPACE) == 1


@pytest.mark.parametrize("where", [NAMESPACE, WORK], ids=["namespace", "work"])
async def test_a_run_of_which_an_object_was_not_made_at_once_is_made(agent, where):
    """A busy API server ends no run."""

    async def is_busy(path):
        if agent.made.count(path) == 1 and path == where:
            raise Retryable("429 TooManyRequests")

    agent.meets = is_busy
    agent.granted()
    async with working(agent):
        await agent.until(lambda: WORK in agent.own.objects)
        await agent.until(lambda: agent.parts.context.runs.unfinished == 0)
    assert agent.said("Released") is None
    assert agent.made.count(where) == 2
