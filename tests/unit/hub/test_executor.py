"""What the hub writes, it writes over what it has read, as the leader, and to the very object."""

from __future__ import annotations

import pytest

from hansa.api.kinds import AIJOB, WORKGRANT
from hansa.api.workgrant import GIVEN_UP_ANNOTATION
from hansa.errors import Conflict
from hansa.reconcile.hub import actions as do
from tests.unit.hub import kit


@pytest.fixture
def store(clock: kit.Time) -> kit.Store:
    return kit.Store(clock)


@pytest.fixture
def placed(store: kit.Store, clock: kit.Time) -> kit.HubKit:
    hub = kit.HubKit(store, clock)
    kit.pool(store)
    kit.namespace(store)
    kit.node(store, "tartu", kit.lent())
    kit.submit(store, "study", **kit.gpus(1))
    hub.hear()
    hub.lead()
    hub.plan()
    hub.settle_down()
    return hub


def one(store, kind):
    [(path, thing)] = [(p, t) for p, t in store.objects.items() if t["kind"] == kind.name]
    return path, thing


def meta(thing):
    return thing["metadata"]


async def test_a_status_derived_from_an_older_job_is_not_written(placed, store):
    path, job = one(store, AIJOB)
    old = meta(job)["resourceVersion"]
    newer = store.put(path, {**job, "status": {**job["status"], "epoch": 9}})
    placed.hear()
    action = do.SetJobStatus(
        meta(job)["namespace"], meta(job)["name"], meta(job)["uid"], old, {"epoch": 1}
    )
    done = await placed.executor.run([action])
    assert not done.ok
    assert store.objects[path]["status"] == newer["status"]


async def test_a_status_is_not_written_over_what_the_hub_has_not_read_yet(placed, store):
    path, job = one(store, AIJOB)
    store.put(path, {**job, "status": {**job["status"], "epoch": 9}})
    action = do.SetJobStatus(
        meta(job)["namespace"],
        meta(job)["name"],
        meta(job)["uid"],
        meta(job)["resourceVersion"],
        {"epoch": 1},
    )
    assert not (await placed.executor.run([action])).ok
    assert store.objects[path]["status"]["epoch"] == 9


async def test_a_grant_is_deleted_by_its_uid(placed, store):
    path, grant = one(store, WORKGRANT)
    gone = do.DeleteGrant(meta(grant)["namespace"], meta(grant)["name"], "of-an-earlier-one")
    assert not (await placed.executor.run([gone])).ok
    assert path in store.objects
    very = do.DeleteGrant(meta(grant)["namespace"], meta(grant)["name"], meta(grant)["uid"])
    assert (await placed.executor.run([very])).ok
    assert path not in store.objects


async def test_nothing_is_written_by_one_that_leads_no_more(placed, store, monkeypatch):
    path, grant = one(store, WORKGRANT)
    monkeypatch.setattr(placed.executor, "_still_leader", lambda: False)
    action = do.CancelGrant(meta(grant)["namespace"], meta(grant)["name"], meta(grant)["uid"], "x")
    done = await placed.executor.run([action])
    assert not done.ok
    assert done.retry_after_s is not None
    assert store.objects[path]["spec"].get("cancel", "None") == "None"


async def test_a_stop_reaches_the_grant(placed, store):
    path, grant = one(store, WORKGRANT)
    action = do.CancelGrant(meta(grant)["namespace"], meta(grant)["name"], meta(grant)["uid"], "x")
    assert (await placed.executor.run([action])).ok
    assert store.objects[path]["spec"]["cancel"] == "Stop"


@pytest.mark.parametrize("is_given_up", [True, False])
async def test_a_grant_says_whether_it_is_stopped_because_its_node_was_silent(
    placed, store, is_given_up
):
    path, grant = one(store, WORKGRANT)
    where = (meta(grant)["namespace"], meta(grant)["name"], meta(grant)["uid"])
    action = do.CancelGrant(*where, "x", is_given_up=is_given_up)
    assert (await placed.executor.run([action])).ok
    noted = meta(store.objects[path]).get("annotations") or {}
    assert (GIVEN_UP_ANNOTATION in noted) is is_given_up


async def orphan(placed, store):
    path, grant = one(store, WORKGRANT)
    job_path, job = one(store, AIJOB)
    action = do.CancelOrphan(
        meta(grant)["namespace"],
        meta(grant)["name"],
        meta(grant)["uid"],
        job_path,
        meta(job)["uid"],
    )
    done = await placed.executor.run([action])
    assert done.ok
    return store.objects[path]["spec"].get("cancel", "None")


async def test_a_grant_whose_job_is_gone_is_ended(placed, store):
    store.remove(one(store, AIJOB)[0])
    path, grant = one(store, WORKGRANT)
    spec = grant["spec"]["job"]
    action = do.CancelOrphan(
        meta(grant)["namespace"],
        meta(grant)["name"],
        meta(grant)["uid"],
        AIJOB.path(spec["namespace"], spec["name"]),
        spec["uid"],
    )
    assert (await placed.executor.run([action])).ok
    assert store.objects[path]["spec"]["cancel"] == "Stop"


async def test_a_grant_whose_job_is_only_not_seen_yet_is_left(placed, store):
    assert await orphan(placed, store) == "None"


async def test_a_grant_of_the_same_epoch_is_never_written_twice(placed, store, monkeypatch):
    """Whoever wrote it first: that one is kept."""
    path, grant = one(store, WORKGRANT)

    async def there(*_):
        raise Conflict("409 AlreadyExists")

    monkeypatch.setattr(store, "create", there)
    job = one(store, AIJOB)[1]
    placed.caches.grants.drop(grant)
    action = do.WriteGrant(
        job_uid=meta(job)["uid"],
        job_namespace=meta(job)["namespace"],
        job_name=meta(job)["name"],
        node="tartu",
        audience="",
        epoch=job["status"]["epoch"],
        institution="clinic",
        spec_digest=grant["spec"]["specDigest"],
        job_spec=grant["spec"]["jobSpec"],
        workers=1,
        overlays=(),
        cancel="None",
    )
    assert (await placed.executor.run([action])).ok
    assert store.objects[path]["spec"] == grant["spec"]
