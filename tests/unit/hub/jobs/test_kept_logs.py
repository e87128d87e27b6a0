"""Who asks for a log after its job's end is told to the member that keeps it, by the whole hub."""

from __future__ import annotations

import pytest

from hansa.api.meta import LOG_REQUEST_ANNOTATION
from hansa.model.log_request import LogRequest
from hansa.model.times import rfc3339
from hansa.reconcile.fencing import sign_release
from tests.unit.hub import kit
from tests.unit.hub.jobs.ended_jobs import STUDY, ended, look, one_node


@pytest.fixture
def store(clock):
    return one_node(clock)


def kept(hub, store, clock):
    """A job that has ended and was released, whose member keeps its log."""
    (path,) = kit.grants(store)
    told = {"start": 0, "end": 9, "until": rfc3339(clock.now() + 3600)}
    kit.answer(store, path, store.objects[path]["status"] | {"keptLog": told})
    look(hub)
    return path


def test_the_wish_reaches_the_grant_and_the_piece_the_job(store, clock):
    hub = ended(store, clock, release=False)
    path = kept(hub, store, clock)
    wish = str(LogRequest(clock.now() + 60, 1, 0))
    job = store.objects[STUDY]
    store.put(
        STUDY, job | {"metadata": job["metadata"] | {"annotations": {LOG_REQUEST_ANNOTATION: wish}}}
    )
    uid = job["metadata"]["uid"]
    release = sign_release(kit.SIGNER, node="tartu", job_uid=uid, epoch=1, now_s=clock.now())
    kit.answer(store, path, store.objects[path]["status"] | {"release": release})
    look(hub)

    assert store.objects[path]["metadata"]["annotations"] == {LOG_REQUEST_ANNOTATION: wish}

    piece = {"start": 0, "text": "all of it", "state": "Ended"}
    kit.answer(store, path, store.objects[path]["status"] | {"log": piece})
    look(hub)

    assert store.objects[STUDY]["status"]["log"] == piece | {"epoch": 1}
    assert store.objects[STUDY]["status"]["keptLog"]["end"] == 9
