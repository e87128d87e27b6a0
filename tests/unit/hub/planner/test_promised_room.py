"""Whose room it is that a stop has made: the next leader reads it from the victim's status."""

from __future__ import annotations

import pytest

from hansa.reconcile.fencing import sign_release
from tests.unit.hub import kit
from tests.unit.reconcile.hub.hub_objects import ACCEPTED

PREEMPTS = {"policy": "LowerPriority", "minRuntimeSeconds": 0}


@pytest.fixture
def store(clock):
    store = kit.Store(clock)
    kit.node(store, "tartu", kit.lent(machines=1, each=4))
    for space, institution in (("clinic", "clinic"), ("lab", "university"), ("yard", "port")):
        kit.namespace(store, space, institution)
    kit.pool(store, preemption=PREEMPTS)
    return store


def stopped(hub):
    """``victim`` is asked to go in favour of ``gains``; its grant, and the status it was given."""
    kit.submit(hub.store, "victim", **kit.gpus(4))
    kit.later(hub)
    (path,) = kit.grants(hub.store)
    kit.answer(hub.store, path, ACCEPTED)
    kit.later(hub)
    kit.submit(hub.store, "gains", "lab", priority=900, **kit.gpus(4))
    kit.later(hub)
    assert hub.store.objects[path]["spec"]["cancel"] == "Stop"
    return path


def release(store, path):
    """The node lets the victim go."""
    uid, now_s = "uid-of-clinic-victim", store.clock.now()
    word = sign_release(kit.SIGNER, node="tartu", job_uid=uid, epoch=1, now_s=now_s)
    kit.answer(store, path, {**store.objects[path]["status"], "release": word})


def nodes(store):
    """Job → where it is granted."""
    return {
        thing["metadata"]["name"]: thing.get("status", {}).get("node")
        for thing in store.objects.values()
        if thing["kind"] == "AIJob"
    }


@pytest.mark.parametrize("is_released", [False, True], ids=["while it stops", "once it has gone"])
def test_a_new_leader_gives_the_room_to_whom_it_was_made_for(hub, store, clock, is_released):
    """Meanwhile ``other`` has come, which would be first."""
    path = stopped(hub)
    (row,) = store.objects[kit.job_path("victim")]["status"]["preemptions"]
    assert row["gainingUid"] == "uid-of-lab-gains"
    hub.step_down()
    if is_released:
        release(store, path)
    kit.submit(store, "other", "yard", priority=950, **kit.gpus(4))
    next_leader = kit.led(store, clock)
    kit.later(next_leader)
    if not is_released:
        release(store, path)
    kit.later(next_leader)
    assert nodes(store) == {"victim": None, "gains": "tartu", "other": None}


def test_the_same_leader_keeps_the_room_over_full_plans(hub, store):
    path = stopped(hub)
    kit.submit(store, "other", "yard", priority=950, **kit.gpus(4))
    for _ in range(3):
        hub.plans.full_due()
        kit.later(hub, 60)
    release(store, path)
    kit.later(hub)
    assert nodes(store) == {"victim": None, "gains": "tartu", "other": None}


@pytest.mark.parametrize("is_new_leader", [False, True], ids=["same hub", "new leader"])
def test_a_victim_that_is_deleted_while_it_stops_takes_the_promise_along(
    hub, store, clock, is_new_leader
):
    """Its record was in its status: what both leaders read decides, and ``other`` is first."""
    path = stopped(hub)
    store.remove(kit.job_path("victim"))
    kit.submit(store, "other", "yard", priority=950, **kit.gpus(4))
    if is_new_leader:
        hub.step_down()
        hub = kit.led(store, clock)
    kit.later(hub)
    release(store, path)
    kit.later(hub)
    assert nodes(store) == {"gains": None, "other": "tartu"}
