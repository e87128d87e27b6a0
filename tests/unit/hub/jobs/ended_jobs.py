"""A job that has ended, and a hub that looks at it later."""

from __future__ import annotations

from hansa.model.times import rfc3339
from hansa.reconcile.fencing import sign_release
from tests.unit.hub import kit
from tests.unit.hub.driving import driven
from tests.unit.reconcile.hub.hub_objects import condition

STUDY = kit.job_path("study")


def one_node(clock):
    store = kit.Store(clock)
    kit.namespace(store)
    kit.pool(store)
    kit.node(store, "tartu", kit.lent())
    return store


def look(hub, seconds=1.0):
    for _ in range(3):
        hub.clock.now_s += seconds / 3
        kit.beat(hub.store, "tartu")
        driven(hub.controller.tick())
        driven(hub.controller.resync())
        hub.queue.come_back()
        hub.settle_down()


def ended(store, clock, *, release, kind="Succeeded", **spec):
    """A job that has ended at its node, which may have released it."""
    kit.submit(store, "study", **kit.gpus(1), **spec)
    hub = kit.led(store, clock)
    look(hub)
    (path,) = kit.grants(store)
    at, reason = rfc3339(clock.now()), "AppFailed" if kind == "Failed" else kind
    told = {"acceptedAt": at, "runningAt": at, "finishedAt": at}
    told["conditions"] = [condition("Accepted"), condition(kind, "True", reason)]
    if release:
        uid = store.objects[path]["spec"]["job"]["uid"]
        told["release"] = sign_release(
            kit.SIGNER, node="tartu", job_uid=uid, epoch=1, now_s=clock.now()
        )
    kit.answer(store, path, told)
    look(hub)
    return hub
