"""What an agent writes before what: a death in between must leave a state that is safe to go on from."""

from __future__ import annotations

import pytest

from hansa.grants.epochs import Outcome
from hansa.member import wiring
from tests.unit.member.runs.test_another_workload import (
    GRANT,
    NAMESPACE,
    WORK,
    PlainJob,
    Running,
    working,
)

RUNS = {"startTime": "2027-01-15T08:00:05Z"}


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
