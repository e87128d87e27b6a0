"""When a run is over its log stays readable for a while, where the law lets it out; and never else."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from hansa.api.job.log_window import WINDOW_BYTES
from hansa.member import wiring
from hansa.member.runs.logs import kept_logs
from hansa.model.times import rfc3339
from hansa.reconcile.member.logs import kept_log
from tests.unit.grants.grant_kit import NOW_S
from tests.unit.member.runs.ended_runs import CANARY, ENDED, OPEN_LOGS, RAYJOB
from tests.unit.member.runs.logs.followed_logs import LOG, Following
from tests.unit.member.runs.plain_job import GRANT, RUN, working

LINES = "".join(f"line {number} of the run\n" for number in range(3000))
DAY_S = 86_400
PLACE = kept_log.path("hansa-system", RUN)


class Keeping(Following):
    """An agent whose one run is over, with the Secrets that the chart makes."""

    def __init__(self, **law: Any):
        super().__init__(**law)
        for place in kept_log.paths("hansa-system"):
            self.own.put(place, {"metadata": {"name": place.rpartition("/")[2]}})

    async def ends(self, log: str, *, before: str = ""):
        await self.begins()
        if before:
            self.asked()
            self.own.logs[LOG] = before
            await self.look()
        self.own.logs[LOG] = log
        work = self.own.objects[RAYJOB]
        running = ENDED | {"jobDeploymentStatus": "Running", "jobStatus": "RUNNING"}
        self.own.put(RAYJOB, {**work, "status": running})
        await self.until(lambda: self.said("Running") == ("True", "Running"))
        self.own.put(RAYJOB, {**work, "status": ENDED})
        await self.until(lambda: self.said("Released") is not None)

    async def read(self, start: int) -> Any:
        """The piece that the hub has after somebody asked for it."""
        self.asked(start)
        return await self.looks()

    async def looks(self) -> Any:
        version = self.hub.objects[GRANT]["metadata"]["resourceVersion"]
        await self.until(lambda: self._seen() == version)
        await self.parts.kept_logs.look()
        return self.status().get("log")

    def later(self, after_s: float):
        self.parts.context.clock.now = lambda: NOW_S + after_s

    def kept(self):
        return self.own.objects[PLACE].get("data") or {}


@pytest.fixture
async def agent():
    made = Keeping(**OPEN_LOGS)
    async with working(made):
        yield made


async def test_all_of_it_is_read_after_the_end_without_gap(agent):
    await agent.ends(LINES)
    assert agent.status()["keptLog"] == {
        "start": 0,
        "end": len(LINES),
        "until": rfc3339(NOW_S + DAY_S),
    }

    place, text, state = 0, "", "Open"
    while state == "Open":
        piece = await agent.read(place)
        assert piece["start"] == place
        text += piece["text"]
        place, state = len(text), piece.get("state", "Open")

    assert text == LINES


async def test_who_follows_it_at_the_end_goes_on_where_it_was(agent):
    await agent.ends(LINES, before=LINES[:100])

    # Asked for from its beginning: more than a piece is missing still, and the end waits.
    assert agent.status()["log"] == {"start": 0, "text": LINES[:WINDOW_BYTES]}
    assert await agent.read(WINDOW_BYTES) == {
        "start": WINDOW_BYTES,
        "text": LINES[WINDOW_BYTES : 2 * WINDOW_BYTES],
    }


async def test_of_a_longer_log_the_end_is_kept(agent, monkeypatch):
    monkeypatch.setattr(
        agent.parts.context,
        "settings",
        agent.parts.context.settings.model_copy(
            update={
                "logs": agent.parts.context.settings.logs.model_copy(update={"keep_bytes": 1000})
            }
        ),
    )
    await agent.ends(LINES)

    assert agent.status()["keptLog"]["start"] == len(LINES) - 1000
    piece = await agent.read(0)
    assert (piece["text"], piece["state"]) == (LINES[-1000:], "Ended")


# What happens to a log that was kept; what of it is shown, and whether the hub is told that it is gone.
LATER: dict[str, Any] = {
    "the law denies logs": ({"policy": {"exports": {"logs": "Deny"}}}, None, True),
    "the law lets the tail out only": ({"policy": {"exports": {"logs": "Tail"}}}, None, True),
    "its time is over": ({"after_s": DAY_S + 1}, None, False),
}


@pytest.mark.parametrize("case", LATER)
async def test_later(agent, case):
    changes, shown, stays = LATER[case]
    await agent.ends(f"{CANARY}\n")
    agent.asked(until_s=changes.get("after_s", 0) + 60.0)
    agent.hub.written.clear()

    agent.later(changes.get("after_s", 0.0))
    agent.policy(**changes.get("policy", OPEN_LOGS))

    assert await agent.looks() == shown
    assert ("keptLog" in agent.status()) is stays
    assert not any(CANARY in str(one.get("log")) for one in agent.hub.written)


async def test_one_that_was_read_just_now_is_given_out_no_longer_than_its_time(agent):
    await agent.ends(LINES)
    await agent.read(0)

    agent.later(DAY_S + 1)
    agent.asked(until_s=DAY_S + 60.0)

    assert await agent.looks() is None
    assert "keptLog" not in agent.status()


async def test_a_piece_is_taken_back_when_nobody_reads_any_more(agent):
    await agent.ends(LINES)
    await agent.read(0)

    agent.later(300.0)

    assert await agent.looks() is None
    assert "keptLog" in agent.status()


@pytest.mark.parametrize("rule", ["Deny", "Tail"])
async def test_a_log_that_may_not_leave_is_not_kept(rule):
    agent = Keeping(exports={"logs": rule})
    async with working(agent):
        await agent.ends(LINES)
        assert "keptLog" not in agent.status()
        assert await agent.read(0) is None
    assert agent.kept() == {}


async def test_without_the_charts_secrets_the_run_ends_all_the_same(agent):
    del agent.own.objects[PLACE]
    await agent.ends(LINES)

    assert agent.said("Succeeded") == ("True", "Succeeded")
    assert "keptLog" not in agent.status()


async def test_it_goes_with_its_grant_and_with_its_time(agent):
    await agent.ends(LINES)
    await agent.parts.kept_logs.sweep()
    assert len(agent.kept()) == 1

    agent.later(DAY_S + 1)
    await agent.parts.kept_logs.sweep()
    assert agent.kept() == {}
    assert "keptLog" not in agent.status()


async def test_it_goes_with_its_job(agent):
    await agent.ends(LINES)
    await agent.hub.delete(GRANT)
    await agent.until(lambda: not [*agent.parts.context.grants.values()])

    await agent.parts.kept_logs.sweep()

    assert agent.kept() == {}


async def test_one_that_is_kept_while_others_are_looked_at_stays(agent):
    """Its Secret was read before it was in it, and its grant tells of it after."""
    await agent.ends(LINES)
    own, grants = agent.parts.context.own, agent.parts.context.grants
    (grant,), read = [*grants.values()], own.get
    grants.drop(grant)

    async def before(path):
        grants.put(grant)
        return await read(path) | ({"data": {}} if path == PLACE else {})

    own.get = before
    await agent.parts.kept_logs.sweep()

    assert "keptLog" in agent.status()


async def test_grants_that_stay_for_logs_leave_room_for_new_work(agent, monkeypatch):
    """The agent holds so many bytes of grants and no more: what is new would be passed over."""
    assert 4 * kept_logs.MOST_GRANT_BYTES <= wiring.MOST_GRANT_BYTES
    await agent.ends(LINES)
    (grant,) = agent.parts.context.grants.values()
    monkeypatch.setattr(kept_logs, "MOST_GRANT_BYTES", len(orjson.dumps(grant)) - 1)

    await agent.parts.kept_logs.sweep()

    assert agent.kept() == {}
    assert "keptLog" not in agent.status()


@pytest.mark.parametrize("said", ["x", ["x"], 7])
async def test_what_a_hub_says_of_a_kept_log_stops_no_sweep(agent, said):
    await agent.ends(LINES)
    grant = agent.hub.objects[GRANT]
    agent.hub.put(GRANT, grant | {"status": grant["status"] | {"keptLog": said}})
    version = agent.hub.objects[GRANT]["metadata"]["resourceVersion"]
    await agent.until(lambda: agent._seen() == version)

    await agent.parts.kept_logs.sweep()

    assert len(agent.kept()) == 1


async def test_nothing_goes_before_the_grants_were_read():
    agent = Keeping(**OPEN_LOGS)
    agent.own.put(PLACE, {"metadata": {"name": "hansa-logs"}, "data": {f"{RUN}.1": "eA=="}})

    await agent.parts.kept_logs.sweep()

    assert len(agent.kept()) == 1
