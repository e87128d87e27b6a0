"""A job whose AIJob is gone by force: its run holds its room until the member has released it."""

from __future__ import annotations

import pytest

from hansa.reconcile.fencing import sign_release
from tests.unit.hub import kit
from tests.unit.hub.nodes.removed_nodes import STUDY, UNATTENDED_S, wait
from tests.unit.reconcile.hub.hub_objects import SKEW_S, condition

OTHER = kit.job_path("other")


@pytest.fixture
def store(clock):
    """Four GPUs, and a job that holds them all."""
    store = kit.Store(clock)
    kit.namespace(store)
    kit.pool(store)
    kit.node(store, "tartu", kit.lent(machines=1, each=4))
    kit.submit(store, "study", **kit.gpus(4))
    return store


def orphan(store, clock):
    """The job runs, its object is deleted with its finalizers, and another job comes."""
    hub = kit.led(store, clock)
    wait(hub)
    (path,) = kit.grants(store)
    kit.answer(store, path, {"conditions": [condition("Accepted"), condition("Running")]})
    wait(hub)
    store.remove(STUDY)
    kit.submit(store, "other", **kit.gpus(4))
    return hub, path


def node_of(store):
    return store.objects[OTHER].get("status", {}).get("node")


@pytest.mark.parametrize("is_new_leader", [False, True], ids=["same hub", "new leader"])
def test_its_room_is_free_when_the_member_has_released_it(store, clock, is_new_leader):
    hub, path = orphan(store, clock)
    hub = kit.led(store, clock) if is_new_leader else hub
    for _ in range(3):
        kit.beat(store, "tartu")
        wait(hub)
    grant = store.objects[path]
    assert grant["spec"]["cancel"] == "Stop"
    assert node_of(store) is None

    uid = grant["spec"]["job"]["uid"]
    word = sign_release(kit.SIGNER, node="tartu", job_uid=uid, epoch=1, now_s=clock.now())
    kit.answer(store, path, {**grant["status"], "release": word})
    kit.beat(store, "tartu")
    wait(hub)
    assert node_of(store) == "tartu"
    assert path not in store.objects


def test_its_room_is_free_when_its_contract_has_run_out(store, clock):
    hub, _ = orphan(store, clock)
    kit.node(store, "riga", kit.lent(machines=1, each=1))
    last_s = clock.now()
    while clock.now() < last_s + UNATTENDED_S + SKEW_S - 60:
        wait(hub, 50, 1)
        assert node_of(store) is None
    wait(hub, 60, 4)
    kit.beat(store, "tartu")
    wait(hub)
    assert node_of(store) == "tartu"
