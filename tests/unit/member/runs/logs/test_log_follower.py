"""A driver's log reaches the hub while its owner follows it, where the law lets it out, and never else."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest

from hansa.api.job.log_window import WINDOW_BYTES
from hansa.member.runs.logs.log_follower import _Followed
from hansa.model.times import rfc3339
from hansa.reconcile.member.logs.log_scan import LogScan
from hansa.reconcile.member.outgoing import LOG_TAIL_BYTES
from tests.unit.grants.grant_kit import NOW_S
from tests.unit.member.runs.ended_runs import CANARY, ENDED, OPEN_LOGS, RAYJOB
from tests.unit.member.runs.logs.followed_logs import EPOCH, LOG, Following
from tests.unit.member.runs.plain_job import GRANT, working


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


async def test_a_machine_whose_clock_is_set_back_is_read_on(agent, monkeypatch):
    """A kubelet shows what is later than asked for, and now nothing is."""
    lines: list[tuple[float, str]] = []

    async def text(_, query):
        since = query.get("sinceTime", "")
        told = [f"{rfc3339(at_s)} {line}\n" for at_s, line in lines if rfc3339(at_s) >= since]
        return "".join(told[-int(query.get("tailLines", 99)) :])

    monkeypatch.setattr(agent.own, "text", text)
    agent.asked()
    lines += [(NOW_S, "one"), (NOW_S + 5, "two")]
    assert await agent.look() == {"start": 0, "text": "one\ntwo\n"}

    lines += [(NOW_S - 1800, "three"), (NOW_S - 1799, "four")]
    assert await agent.look() == {"start": 0, "text": "one\ntwo\nthree\nfour\n"}
    lines += [(NOW_S - 1700, "five")]
    assert await agent.look() == {"start": 0, "text": "one\ntwo\nthree\nfour\nfive\n"}
    assert await agent.look() == {"start": 0, "text": "one\ntwo\nthree\nfour\nfive\n"}


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


async def test_between_two_pieces_of_logs_others_have_their_turn(agent, monkeypatch):
    """A mebibyte of empty lines takes a fifth of a second; who renews leases goes in between."""
    follower, (name,) = agent.parts.log_follower, agent.parts.context.run_index.names()
    entry, done, take = agent.parts.context.run_index.get(name), list[str](), LogScan.take

    def noted(*arguments, **options):
        done.append("piece")
        return take(*arguments, **options)

    async def others():
        while True:
            done.append("others")
            await asyncio.sleep(0)

    monkeypatch.setattr(LogScan, "take", noted)
    agent.own.logs[LOG] = "one\n"
    beside = asyncio.create_task(others())
    await asyncio.gather(*(follower._read(entry, _Followed(), 0) for _ in range(5)))
    beside.cancel()

    turns = [*itertools.groupby(done)]
    assert len([kind for kind, _ in turns if kind == "piece"]) == done.count("piece") == 5


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
