"""Room is held by what was granted, whatever becomes of the pool and of the job's spec meanwhile."""

from __future__ import annotations

import pytest

from hansa.api.kinds import COMPUTEPOOL
from tests.unit.hub import kit
from tests.unit.reconcile.hub.hub_objects import ACCEPTED


@pytest.fixture
def store(clock):
    store = kit.Store(clock)
    kit.namespace(store)
    kit.pool(store)
    kit.pool(store, "other")
    kit.node(store, "tartu", kit.lent(machines=1, each=4))
    kit.submit(store, "runs", **kit.gpus(1, 4))
    return store


def wait(hub, times=3):
    for _ in range(times):
        hub.clock.now_s += 1
        kit.beat(hub.store, "tartu")
        hub.plans.full_due()
        hub.settle_down()


def runs(store, clock):
    hub = kit.led(store, clock)
    wait(hub)
    (path,) = kit.grants(store)
    kit.answer(store, path, ACCEPTED)
    wait(hub)
    return hub


def nodes_granted(store):
    return [grant["spec"]["job"]["name"] for grant in kit.grants(store).values()]


def led_anew(store, clock, hub):
    hub.step_down()
    return kit.led(store, clock)


@pytest.mark.parametrize("is_new", [False, True], ids=["same leader", "new leader"])
def test_work_keeps_its_room_when_its_pool_is_deleted(store, clock, is_new):
    hub = runs(store, clock)
    store.remove(COMPUTEPOOL.path(name="league"))
    hub.settle_down()
    hub = led_anew(store, clock, hub) if is_new else hub
    kit.submit(store, "comes", **kit.gpus(1, 1), pool="other")
    wait(hub)

    assert nodes_granted(store) == ["runs"]
    kit.pool(store)
    wait(hub)
    assert nodes_granted(store) == ["runs"]


@pytest.mark.parametrize("spec", [kit.gpus(1, 1), {"pool": "atlantis"}, {"entrypoint": 7}])
@pytest.mark.parametrize("is_new", [False, True], ids=["same leader", "new leader"])
def test_work_keeps_its_room_when_its_spec_is_changed(store, clock, spec, is_new):
    hub = runs(store, clock)
    kit.respec(store, kit.job_path("runs"), **spec)
    hub.settle_down()
    hub = led_anew(store, clock, hub) if is_new else hub
    kit.submit(store, "comes", **kit.gpus(1, 1), pool="other")
    wait(hub)

    assert nodes_granted(store) == ["runs"]
