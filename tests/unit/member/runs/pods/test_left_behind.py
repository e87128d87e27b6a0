"""What a machine that never answers holds of a run that has ended: released once no pod there can live any more."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from hansa.errors import Retryable
from hansa.member import wiring
from hansa.member.facts import live_epochs
from hansa.member.runs.situations import situation_of
from hansa.model.times import rfc3339
from hansa.reconcile.member.contracts.time_limits import UNATTENDED_ANNOTATION
from hansa.reconcile.member.inventory.lost_machines import BLIND_S
from tests.unit.grants.grant_kit import NOW_S, UID
from tests.unit.member.runs.plain_job import (
    GRANT,
    NAMESPACE,
    RUN,
    SETTINGS,
    PlainJob,
    Running,
    working,
)
from tests.unit.member.runs.pods.two_machines import (
    CONTRACT_S,
    LIMIT_S,
    Ahead,
    lose,
    node,
    passes,
    running,
    time_goes_by,
)
from tests.unit.member.small_cluster import SmallCluster


class Held(SmallCluster):
    """A cluster that keeps what stands on a machine which does not answer: a namespace goes with its last pod."""

    async def delete(self, path, **options):
        held = [where for where in self.objects if where.startswith(f"{path}/pods/")]
        if not held:
            await super().delete(path, **options)
            return
        deleted = {"deletionTimestamp": rfc3339(NOW_S)}
        for where in [w for w in self.objects if w.startswith(f"{path}/") and w not in held]:
            self._drop(where)
        self.put(path, {**self.objects[path], "metadata": deleted})


class Ordered(Held):
    """The same where pods go first, and all else after them (Kubernetes 1.33 and later)."""

    def _drop(self, path):
        if path in self.objects and "deletionTimestamp" not in self.objects[path]["metadata"]:
            return
        super()._drop(path)


@contextlib.asynccontextmanager
async def left(agent, machine="m2", kind=Held):
    """Have a run that has ended, and is held by a machine that does not answer."""
    agent.own.__class__ = kind
    async with running(agent, machine):
        await lose(agent, "m2")
        if machine == "m2":
            await agent.until(
                lambda: "deletionTimestamp" in agent.own.objects[NAMESPACE]["metadata"]
            )
        yield


async def test_it_is_released_once_no_pod_of_it_can_live_any_more_though_its_machine_never_answers(
    agent,
):
    async with left(agent):
        assert "62 minutes" in agent.words("Running")
        await time_goes_by(agent, CONTRACT_S - 60)
        await asyncio.sleep(0.05)
        assert agent.said("Released") is None
        assert live_epochs(agent.parts.context, UID) == (3,)
        await time_goes_by(agent, 120 + SETTINGS.limits.clock_skew_seconds)
        await agent.until(lambda: agent.said("Released") is not None)
        assert agent.said("Released") == ("True", "MachineLost")
        assert "does not answer" in agent.words("Released")
        # The job's next run may be here.
        assert live_epochs(agent.parts.context, UID) == ()


async def test_the_next_run_may_be_here_where_the_answer_to_its_release_was_lost(agent):
    """Nor is its grant needed any more: the hub deletes what was released."""
    async with left(agent):
        replace = agent.hub.replace

        async def lost(path, body):
            answer = await replace(path, body)
            if body["status"].get("release"):
                raise Retryable("no answer")
            return answer

        agent.hub.replace = lost
        await time_goes_by(agent, CONTRACT_S + 240)
        await agent.until(lambda: agent.said("Released") is not None)
        grants = agent.parts.context.grants
        await agent.until(lambda: any("release" in g["status"] for g in grants.values()))
        await agent.hub.delete(GRANT)
        await agent.until(lambda: not list(grants.values()))
        assert live_epochs(agent.parts.context, UID) == ()


async def test_it_is_held_for_as_long_as_the_guard_told_its_pods_that_they_may_live(agent):
    """The guard goes by what stands on the namespace; the agent's own settings are younger."""
    agent.own.__class__ = Held
    async with running(agent):
        home = agent.own.objects[NAMESPACE]
        notes = home["metadata"]["annotations"] | {UNATTENDED_ANNOTATION: str(2 * CONTRACT_S)}
        agent.own.put(NAMESPACE, home | {"metadata": home["metadata"] | {"annotations": notes}})
        await lose(agent, "m2")
        await agent.until(lambda: agent.said("Running") == ("False", "MachineLost"))
        assert "122 minutes" in agent.words("Running")
        await agent.until(lambda: "deletionTimestamp" in agent.own.objects[NAMESPACE]["metadata"])
        await time_goes_by(agent, 2 * CONTRACT_S - 60)
        await asyncio.sleep(0.05)
        assert agent.said("Released") is None
        await time_goes_by(agent, 240)
        await agent.until(lambda: agent.said("Released") is not None)


async def test_an_agent_that_begins_anew_releases_it_too(agent, monkeypatch):
    async with left(agent):
        pass
    monkeypatch.setattr(wiring, "WORKLOADS", (PlainJob(),))
    after = Running(agent.own)
    after.hub.objects = agent.hub.objects
    after.parts.context.clock = Ahead()
    await after.parts.context.epochs.load()
    async with working(after):
        node(after, "m1")
        node(after, "m2", "Unknown")
        await after.until(lambda: after.parts.context.run_index.get(RUN) is not None)
        await time_goes_by(after, LIMIT_S + CONTRACT_S + 200)
        await after.until(lambda: after.said("Released") is not None)


@pytest.mark.parametrize("is_there", [True, False], ids=["its grant is there", "it is not"])
async def test_an_agent_that_begins_anew_after_that_lets_the_next_run_in_too(
    agent, monkeypatch, is_there
):
    """It knows of no release, so its pods have their time once more by this agent's clock."""
    async with left(agent, kind=Ordered):
        await time_goes_by(agent, CONTRACT_S + 240)
        await agent.until(lambda: agent.said("Released") is not None)
    if not is_there:
        await agent.hub.delete(GRANT)
    monkeypatch.setattr(wiring, "WORKLOADS", (PlainJob(),))
    after = Running(agent.own)
    after.hub.objects = agent.hub.objects
    after.parts.context.clock = Ahead()
    await after.parts.context.epochs.load()
    async with working(after):
        node(after, "m1")
        node(after, "m2", "Unknown")
        await after.until(lambda: after.parts.context.run_index.get(RUN) is not None)
        assert live_epochs(after.parts.context, UID) == (3,)
        await time_goes_by(after, LIMIT_S + CONTRACT_S + 200)
        await after.until(lambda: live_epochs(after.parts.context, UID) == ())
    assert NAMESPACE in after.own.objects


async def test_it_is_not_released_while_a_pod_stands_where_somebody_can_end_it(agent):
    async with left(agent):
        pod = f"{NAMESPACE}/pods/{RUN}-xyz"
        status = {"phase": "Running"}
        metadata = {"name": f"{RUN}-xyz", "namespace": RUN}
        agent.own.put(pod, {"metadata": metadata, "spec": {"nodeName": "m1"}, "status": status})
        await time_goes_by(agent, 2 * CONTRACT_S)
        await asyncio.sleep(0.05)
        assert agent.said("Released") is None
        agent.own._drop(pod)
        await time_goes_by(agent, 10)
        await agent.until(lambda: agent.said("Released") is not None)


async def test_that_another_machine_is_lost_does_not_begin_its_time_anew(agent):
    async with left(agent):
        node(agent, "m3")
        await time_goes_by(agent, CONTRACT_S - 60)
        node(agent, "m3", kind="DELETED")
        read, fails = agent.own.list, [Retryable("500")]

        async def slow(path, **options):
            # A pass over all runs, as the run controller's own clock makes it.
            situation_of(agent.parts.context, RUN)
            if path.endswith("/pods") and fails:
                raise fails.pop()
            return await read(path, **options)

        for agent.own.list in (slow, slow, read):
            await time_goes_by(agent, 10)
            assert situation_of(agent.parts.context, RUN).held_up_s >= CONTRACT_S - 60
        assert not fails
        await time_goes_by(agent, 90 + SETTINGS.limits.clock_skew_seconds)
        await agent.until(lambda: agent.said("Released") is not None)


async def test_that_the_agent_was_blind_for_a_while_does_not_begin_its_time_anew(agent):
    """Whatever its machine does: nobody tells the pods of a namespace that goes that they may live."""
    async with left(agent):
        await time_goes_by(agent, CONTRACT_S - 60)
        passes(agent, BLIND_S + 10)
        await agent.parts.struck_runs.look()
        situation_of(agent.parts.context, RUN)
        await asyncio.sleep(0.05)
        assert agent.said("Released") is None
        await time_goes_by(agent, LIMIT_S + SETTINGS.limits.clock_skew_seconds)
        await agent.until(lambda: agent.said("Released") is not None)
