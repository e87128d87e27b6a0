"""A driver's log reaches the hub while its owner follows it, where the law lets it out, and never else."""

from __future__ import annotations

from typing import Any

import pytest

from hansa.api.job.log_window import WINDOW_BYTES
from hansa.api.meta import LOG_REQUEST_ANNOTATION
from hansa.model.log_request import LogRequest
from hansa.reconcile.member.outgoing import LOG_TAIL_BYTES
from tests.unit.grants.grant_kit import NOW_S
from tests.unit.member.runs.test_another_workload import GRANT, working
from tests.unit.member.runs.test_what_leaves import (
    CANARY,
    ENDED,
    OPEN_LOGS,
    POD,
    RAYJOB,
    RUN,
    Ending,
)

EPOCH = 3
LOG = f"{POD}/log?submitter"


class Following(Ending):
    """An agent whose one run writes what it is told."""

    async def begins(self):
        self.granted()
        await self.until(lambda: RAYJOB in self.own.objects)
        self.own.put(POD, {"metadata": {"name": f"{RUN}-abc", "namespace": RUN}})
        self.own.logs[LOG] = ""

    def asked(self, start: int = 0, *, until_s: float = 60.0, epoch: int = EPOCH):
        wish = str(LogRequest(NOW_S + until_s, epoch, start))
        grant = self.hub.objects[GRANT]
        metadata = grant["metadata"] | {"annotations": {LOG_REQUEST_ANNOTATION: wish}}
        self.hub.put(GRANT, grant | {"metadata": metadata})

    async def look(self) -> Any:
        """The piece that the hub has after the next look; None: it has none."""
        context = self.parts.context
        version = self.hub.objects[GRANT]["metadata"]["resourceVersion"]
        await self.until(lambda: self._seen() == version)
        await self.parts.log_follower.look()
        assert context.grants.get(f"hansa-node-tartu/{GRANT.rpartition('/')[2]}") is not None
        return self.status().get("log")

    def _seen(self) -> str:
        found = self.parts.context.grants.get(f"hansa-node-tartu/{GRANT.rpartition('/')[2]}")
        return str(found["metadata"]["resourceVersion"]) if found else ""


@pytest.fixture
async def agent():
    made = Following(**OPEN_LOGS)
    async with working(made):
        await made.begins()
        yield made


async def test_it_is_sent_as_it_grows_and_goes_on_where_the_reader_is(agent):
    agent.asked()
    agent.own.logs[LOG] = "one\n"
    assert await agent.look() == {"start": 0, "text": "one\n"}

    agent.own.logs[LOG] += "two\nhansa-result:NDI=\nthr"
    assert await agent.look() == {"start": 0, "text": "one\ntwo\n"}

    agent.asked(8)
    agent.own.logs[LOG] += "ee\n"
    assert await agent.look() == {"start": 8, "text": "three\n"}

    agent.asked(2)
    assert await agent.look() == {"start": 2, "text": "e\ntwo\nthree\n"}


async def test_no_piece_is_larger_than_one_write_may_carry(agent):
    agent.own.logs[LOG] = "x" * 1000 + "\n"
    agent.own.logs[LOG] *= 100
    agent.asked(1001)

    piece = await agent.look()

    assert (piece["start"], len(piece["text"])) == (1001, WINDOW_BYTES)


NOT_SENT: dict[str, Any] = {
    "nobody asks": {},
    "the wish has run out": {"until_s": -120.0},
    "it would stand for longer than any may": {"until_s": 1200.0},
    "it is about another run": {"epoch": EPOCH + 1},
}


@pytest.mark.parametrize("case", NOT_SENT)
async def test_nothing_is_sent_and_what_was_is_taken_back_where(agent, case):
    agent.own.logs[LOG] = f"{CANARY}\n"
    agent.asked()
    assert await agent.look() == {"start": 0, "text": f"{CANARY}\n"}

    agent.asked(**NOT_SENT[case] or {"until_s": -120.0})
    if not NOT_SENT[case]:
        del agent.hub.objects[GRANT]["metadata"]["annotations"]

    assert await agent.look() is None
    assert CANARY not in str(agent.hub.objects)


@pytest.mark.parametrize("rule", ["Deny", "Tail"])
async def test_where_logs_are_not_exported_no_byte_of_it_leaves_whoever_asks(agent, rule):
    agent.own.logs[LOG] = f"{CANARY}\n"
    agent.policy(exports={"logs": rule})
    agent.asked()

    assert await agent.look() is None
    assert CANARY not in agent.told()

    agent.policy(**OPEN_LOGS)
    assert await agent.look() == {"start": 0, "text": f"{CANARY}\n"}
    agent.policy(exports={"logs": rule})
    assert await agent.look() is None


async def test_its_end_comes_with_the_end_of_the_run(agent):
    agent.asked()
    agent.own.logs[LOG] = "one\n"
    await agent.look()
    agent.own.logs[LOG] += "two\n" + "last without a newline"
    work = agent.own.objects[RAYJOB]
    running = ENDED | {"jobDeploymentStatus": "Running", "jobStatus": "RUNNING"}
    agent.own.put(RAYJOB, {**work, "status": running})
    await agent.until(lambda: agent.said("Running") == ("True", "Running"))
    agent.own.put(RAYJOB, {**work, "status": ENDED})
    await agent.until(lambda: agent.said("Released") is not None)

    assert agent.status()["log"] == {
        "start": 0,
        "text": "one\ntwo\nlast without a newline\n",
        "state": "Ended",
    }
    assert len(agent.status()["logTail"]) < LOG_TAIL_BYTES
    assert await agent.look() == agent.status()["log"]
