"""What an agent writes before what: a death in between must leave a state that is safe to go on from."""

from __future__ import annotations

import asyncio

import pytest

from hansa.api.kinds import SOVEREIGNNODE, WORKGRANT
from hansa.errors import NotFound, Retryable
from hansa.grants.envelope import grant_name
from hansa.grants.epochs import Outcome
from hansa.grants.trust import read
from hansa.member import wiring
from hansa.member.runs import metering
from hansa.member.state import receipt_store
from hansa.receipts.envelope import unseal
from tests.unit.grants.grant_kit import NODE, UID, grant, job
from tests.unit.member.runs.plain_job import (
    GRANT,
    NAMESPACE,
    PLAIN,
    RUN,
    WORK,
    PlainJob,
    Running,
    working,
)

RUNS = {"startTime": "2027-01-15T08:00:05Z"}
METERED = "merge /api/v1/namespaces/hansa-system/configmaps/hansa-metered"
"""The row of a run, or of several."""


class Recorded(Running):
    """An agent whose every write is noted, in order."""

    def __init__(self):
        super().__init__()
        self.order: list[str] = []
        for cluster in (self.own, self.hub):
            for verb in ("create", "merge", "replace", "delete"):
                setattr(cluster, verb, self.noting(verb, getattr(cluster, verb)))

    def noting(self, verb, act):
        async def noted(path, *body, **options):
            self.order.append(self.word(verb, path, *body))
            return await act(path, *body, **options)

        return noted

    def word(self, verb, path, body=None):
        body = body or {}
        if "hansa-epochs" in path and verb == "merge":
            lines = " ".join(map(str, body["data"].values()))
            return "".join(f"remembers {o.name}" for o in Outcome if f" {o} " in lines)
        if path == f"{GRANT}/status":
            status = body["status"]
            kind = "release" if "release" in status else status["conditions"][-1]["type"]
            return f"tells {kind}"
        name = (body.get("metadata") or {}).get("name", "")
        return f"{verb} {path.rpartition('/')[2] if verb == 'create' else path} {name}".strip()

    def place(self, word):
        return next(n for n, said in enumerate(self.order) if said.startswith(word))


@pytest.fixture
def agent(monkeypatch):
    monkeypatch.setattr(wiring, "WORKLOADS", (PlainJob(),))
    return Recorded()


async def test_a_decision_is_durable_before_the_hub_hears_of_it(agent):
    agent.granted()
    async with working(agent):
        await agent.until(lambda: agent.said("Accepted") is not None)
    assert agent.place("remembers ACCEPTED") < agent.place("tells Accepted")


async def test_a_refusal_is_durable_before_the_hub_hears_of_it(agent):
    agent.granted(image="evil.example/x@sha256:" + "0" * 64)
    async with working(agent):
        await agent.until(lambda: agent.said("Accepted") is not None)
    assert agent.said("Accepted")[0] == "False"
    assert agent.place("remembers REFUSED") < agent.place("tells Accepted")


async def test_the_namespace_comes_first_and_the_work_last(agent):
    agent.granted()
    async with working(agent):
        await agent.until(lambda: WORK in agent.own.objects)
    made = [word for word in agent.order if word.startswith("create")]
    made = made[made.index(next(word for word in made if word.startswith("create namespaces"))) :]
    assert made[0].startswith("create namespaces")
    assert made[-1].startswith("create jobs")
    assert {"create networkpolicies fence", "create resourcequotas size"} <= set(made[1:-1])


async def test_the_end_is_durable_before_anything_is_deleted_and_the_release_comes_last(agent):
    agent.granted()
    async with working(agent):
        await agent.until(lambda: WORK in agent.own.objects)
        grant = agent.hub.objects[GRANT]
        agent.hub.put(GRANT, {**grant, "spec": {**grant["spec"], "cancel": "Stop"}})
        await agent.until(lambda: "release" in agent.status())
    assert NAMESPACE not in agent.own.objects
    order = ("remembers ENDED", f"delete {NAMESPACE}", "tells release")
    places = [agent.place(word) for word in order]
    assert places == sorted(places)


async def test_volumes_of_a_run_that_somebody_else_deleted_are_gone_before_its_release(agent):
    agent.granted()
    cleaned, objects = [], agent.parts.run_controller._objects
    removes = objects.remove_volumes

    async def remove(name):
        cleaned.append("release" in agent.status())
        await removes(name)

    objects.remove_volumes = remove
    async with working(agent):
        await agent.until(lambda: WORK in agent.own.objects)
        await agent.until(lambda: agent.said("Accepted") is not None)
        agent.own.put(WORK, agent.own.objects[WORK] | {"status": RUNS})
        await agent.until(lambda: agent.said("Running") is not None)
        await agent.own.delete(NAMESPACE)
        await agent.until(lambda: "release" in agent.status())
    assert cleaned
    assert not any(cleaned)


async def test_a_run_has_its_row_before_anything_of_it_is_made(agent):
    agent.granted()
    async with working(agent):
        await agent.until(lambda: WORK in agent.own.objects)
    order = ("remembers ACCEPTED", METERED, "create namespaces", "create jobs")
    places = [agent.place(word) for word in order]
    assert places == sorted(places)


async def test_nothing_of_a_run_is_made_while_its_row_cannot_be_written(agent):
    merge, is_broken = agent.own.merge, True

    async def broken(path, body):
        if is_broken and "hansa-metered" in path:
            raise Retryable("connection reset", after_s=0.01)
        return await merge(path, body)

    agent.own.merge = broken
    agent.granted()
    async with working(agent):
        await agent.until(lambda: agent.said("Accepted") == ("True", "Accepted"))
        await asyncio.sleep(0.1)
        assert NAMESPACE not in agent.own.objects
        is_broken = False
        await agent.until(lambda: WORK in agent.own.objects)
    again = Running(agent.own).parts.context.receipts
    await again.outbox()
    assert set(again.runs) == {f"{UID}.3"}


async def test_nothing_of_a_run_is_made_before_the_hub_says_what_the_node_asks_for_it(agent):
    """Without a price its receipts would be disputed, each of them."""
    ask = agent.hub.get

    async def withheld(_):
        raise NotFound("sovereignnodes")

    agent.hub.get = withheld
    agent.granted()
    async with working(agent):
        await agent.until(lambda: agent.said("Accepted") == ("True", "Accepted"))
        await asyncio.sleep(0.1)
        assert NAMESPACE not in agent.own.objects
        retry_s = agent.parts.context.settings.timing.retry_seconds
        assert agent.parts.metering.ask_pause_s() == retry_s < metering.ASK_S
        agent.hub.get = ask
        await agent.parts.metering.ask_hub()
        assert agent.parts.metering.ask_pause_s() == metering.ASK_S
        await agent.until(lambda: WORK in agent.own.objects)


async def test_nothing_of_a_run_is_made_while_there_is_no_room_for_its_row(agent, monkeypatch):
    most = receipt_store.MOST_RUNS
    monkeypatch.setattr(receipt_store, "MOST_RUNS", 0)
    agent.granted()
    async with working(agent):
        await agent.until(lambda: agent.said("Accepted") == ("True", "Accepted"))
        await asyncio.sleep(0.1)
        assert NAMESPACE not in agent.own.objects
        monkeypatch.setattr(receipt_store, "MOST_RUNS", most)
        await agent.until(lambda: WORK in agent.own.objects)


async def test_a_run_whose_agent_died_as_soon_as_it_was_made_has_its_receipt(agent):
    """Its namespace went with the guard and its grant with a hub that was put back, before another looked."""
    agent.granted()
    async with working(agent):
        await agent.until(lambda: WORK in agent.own.objects)
    await agent.own.delete(NAMESPACE)

    again = Running(agent.own)
    await again.parts.context.epochs.load()
    async with working(again):
        await again.parts.context.grants.wait_synced()
        await again.parts.metering.look()
        await again.parts.metering.look()
    [only] = again.parts.context.outbox
    receipt = unseal(only, {NODE.key_id: NODE.public_key}).receipt
    assert (receipt.run, receipt.last, receipt.end_reason) == (f"{UID}.3", True, "DeletedAtMember")


async def test_the_rows_of_a_rush_go_together(agent):
    """One write for each page of rows, whatever the number of runs."""
    for number in range(40):
        uid = f"{number:08x}-7c1c-4f7b-9d9a-5d2f1e8a7b60"
        named = {"namespace": "hospital", "name": f"study-{number}", "uid": uid}
        name = grant_name(uid, 3)
        meta = {"name": name, "namespace": "hansa-node-tartu", "generation": 1}
        path = WORKGRANT.path("hansa-node-tartu", name)
        agent.hub.put(path, {"metadata": meta, "spec": grant(job(**PLAIN), job=named)})
    async with working(agent):
        made = agent.own.objects
        await agent.until(lambda: sum("/jobs/" in path for path in made) == 40)
    assert len(agent.parts.context.receipts.runs) == 40
    assert sum(word.startswith(METERED) for word in agent.order) <= 8


async def test_a_run_that_no_receipt_can_describe_is_not_made_and_holds_up_no_other(
    agent, monkeypatch
):
    describes = metering.work_of

    def describe(spec, terms):
        if spec.job.uid == UID:
            raise ValueError("not foreseen")
        return describes(spec, terms)

    monkeypatch.setattr(metering, "work_of", describe)
    agent.granted()
    other = "1f8c2f4e-7c1c-4f7b-9d9a-5d2f1e8a7b60"
    named = {"namespace": "hospital", "name": "other", "uid": other}
    name = grant_name(other, 3)
    meta = {"name": name, "namespace": "hansa-node-tartu", "generation": 1}
    path = WORKGRANT.path("hansa-node-tartu", name)
    agent.hub.put(path, {"metadata": meta, "spec": grant(job(**PLAIN), job=named)})
    async with working(agent):
        await agent.until(lambda: any("/jobs/" in path for path in agent.own.objects))
        await agent.until(lambda: agent.said("Released") is not None)
    assert agent.said("Released") == ("True", "RenderFailed")
    assert "create namespaces " + NAMESPACE.rpartition("/")[2] not in agent.order


async def test_a_run_whose_every_object_was_made_with_its_answer_lost_is_made(agent):
    """The second time each is there already: that is a success, also over a death in between."""
    create, lost = agent.own.create, []

    async def unanswered(path, body):
        made = await create(path, body)
        where = f"{path}/{body['metadata']['name']}"
        if RUN in where and where not in lost:
            lost.append(where)
            raise Retryable("connection reset", after_s=0.01)
        return made

    agent.own.create = unanswered
    agent.granted()
    async with working(agent):
        await agent.until(lambda: agent.said("Accepted") is not None)
        await agent.until(lambda: WORK in agent.own.objects)
        await agent.until(lambda: agent.parts.context.runs.unfinished == 0)
        agent.own.put(WORK, agent.own.objects[WORK] | {"status": RUNS})
        await agent.until(lambda: agent.said("Running") == ("True", "Running"))
    assert lost[0] == NAMESPACE
    assert lost[-1] == WORK
    assert len(lost) > 4


MACHINE = {
    "metadata": {
        "name": "m1",
        "labels": {
            "hansa.dev/jurisdiction": "EE",
            "kubernetes.io/arch": "amd64",
            "nvidia.com/gpu.product": "NVIDIA-L40S",
            "nvidia.com/gpu.memory": "46068",
        },
    },
    "status": {
        "allocatable": {"cpu": "64", "memory": "256Gi", "nvidia.com/gpu": "8"},
        "conditions": [{"type": "Ready", "status": "True"}],
    },
}


async def test_what_an_agent_accepted_and_died_is_opened_with_the_class_that_it_gets(agent):
    """Its row would have no price else, and its receipts be disputed."""
    ray = {"version": "2.60.0", "workers": {"count": 1, "gpus": 1, "gpuMemory": "24Gi"}}
    proposal, context = read(agent.granted(ray=ray)), agent.parts.context
    price = {"gpuClass": "nvidia-l40s", "perGpuHour": "1.5", "validFrom": "2027-01-01T00:00:00Z"}
    node = {"metadata": {"name": "tartu"}, "spec": {"prices": [price], "currency": "EUR"}}
    agent.hub.put(SOVEREIGNNODE.path(name="tartu"), node)
    context.cluster_state.put_machine(MACHINE)
    await context.epochs.put((context.record(proposal.spec, proposal.digest, Outcome.ACCEPTED),))
    agent.parts.judge.seen("ADDED", agent.hub.objects[GRANT])
    await agent.parts.metering.ask_hub()
    await agent.parts.metering.look()
    assert (context.run_index.names(), context.receipts.runs) == ([RUN], {})
    async with working(agent):
        await agent.until(lambda: WORK in agent.own.objects)
    work = context.receipts.runs[f"{UID}.3"].work
    assert (work.gpu_class, work.price.gpu_hour) == ("nvidia-l40s", "1.5")
