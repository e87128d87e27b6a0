"""What a scrape tells of jobs and conditions is what a look at every object would find."""

from __future__ import annotations

from collections import Counter

import pytest

from hansa.adapters.kube.reflector import Reflector
from hansa.api.kinds import SOVEREIGNNODE
from hansa.hub.caches import COUNTED, job_state
from hansa.hub.scrape_view import ScrapeView
from hansa.reconcile.hub.status.whole_conditions import by_type
from tests.unit.hub import kit
from tests.unit.hub.driving import Elected
from tests.unit.reconcile.hub.hub_objects import ACCEPTED, condition

MIRRORS = {"job": "jobs", "node": "nodes", "pool": "pools", "grant": "grants"}


@pytest.fixture
def hub(clock):
    store = kit.Store(clock)
    kit.namespace(store)
    kit.pool(store)
    kit.node(store, "tartu", kit.lent(machines=1, each=4))
    return kit.led(store, clock)


def reading(hub):
    clock, queue = hub.clock, hub.queue
    view = ScrapeView(hub.caches, hub.pricing, queue, clock=clock, election=Elected(), events={})
    return view.reading()


def looked_at(hub):
    """(job states, conditions), one object after the other."""
    states = Counter()
    for uid in hub.caches.jobs:
        job = hub.caches.job(uid)
        pool = job.parsed.spec.pool if job.parsed.spec else ""
        states[pool, job_state(by_type(job.status.get("conditions")))] += 1
    conditions = Counter(
        (name, row["type"], row["status"], row["reason"])
        for kind, name in COUNTED.items()
        for thing in getattr(hub.caches, MIRRORS[kind]).values()
        for row in (thing.get("status") or {}).get("conditions", ())
    )
    return states, conditions


def finish(hub):
    (path,) = kit.grants(hub.store)
    ended = [condition("Succeeded"), condition("Running", "False", "Succeeded")]
    kit.answer(hub.store, path, {"conditions": [*ACCEPTED["conditions"], *ended]})


def replace_node(hub):
    """One of the same name is another object."""
    thing = hub.store.objects[SOVEREIGNNODE.path(name="tartu")]
    other = {**thing["metadata"], "uid": "another"}
    said = {"conditions": [condition("JurisdictionAgreed", "False", "Disputed")]}
    hub.store.put(SOVEREIGNNODE.path(name="tartu"), {**thing, "metadata": other, "status": said})


STORY = (
    lambda hub: kit.submit(hub.store, "a", **kit.gpus(4)),
    lambda hub: kit.submit(hub.store, "b", **kit.gpus(1)),
    lambda hub: kit.submit(hub.store, "bad", residency={}),
    lambda hub: kit.answer(hub.store, next(iter(kit.grants(hub.store))), ACCEPTED),
    lambda hub: kit.respec(hub.store, kit.job_path("b"), pool="atlantis"),
    finish,
    replace_node,
    lambda hub: kit.erase(hub.store, kit.job_path("bad")),
    lambda hub: hub.store.remove(SOVEREIGNNODE.path(name="tartu")),
)


def test_after_each_change_a_scrape_tells_what_is_there(hub):
    seen = Counter()
    for happens in STORY:
        happens(hub)
        hub.hear()
        kit.later(hub, 5)
        hub.upkeep()
        hub.hear()
        told, (states, conditions) = reading(hub), looked_at(hub)
        assert told.jobs == states
        assert told.objects == conditions
        seen += states
    assert len(seen) > 4, seen


def test_a_scrape_looks_at_no_job(hub, monkeypatch):
    """There may be fifty thousand: a look at each held the loop for a second."""
    for happens in STORY[:3]:
        happens(hub)
    kit.later(hub)
    monkeypatch.setattr(hub.caches, "job", None)
    looks = dict.fromkeys(("values", "items", "__iter__"))
    monkeypatch.setattr(hub.caches.jobs, "__class__", type("Shut", (Reflector,), looks))
    assert sum(reading(hub).jobs.values()) == 3
