"""A job's owner asks for its log by an annotation; through the hub's caches that reaches the grant."""

from __future__ import annotations

from hansa.api.meta import LOG_REQUEST_ANNOTATION
from hansa.model.log_request import LogRequest
from tests.unit.hub import kit
from tests.unit.reconcile.hub.hub_objects import ACCEPTED


def test_the_member_is_asked_for_the_log_that_the_owner_asks_for(clock):
    store = kit.one_job(clock)
    hub = kit.led(store, clock)
    kit.later(hub)
    (path,) = kit.grants(store)
    kit.answer(store, path, ACCEPTED)
    kit.later(hub)
    wish = str(LogRequest(clock.now_s + 60, 1, 0))
    job = store.objects[kit.job_path("study")]
    meta = {**job["metadata"], "annotations": {LOG_REQUEST_ANNOTATION: wish, "note": "x"}}
    store.put(kit.job_path("study"), {**job, "metadata": meta})

    kit.later(hub)

    assert store.objects[path]["metadata"]["annotations"] == {LOG_REQUEST_ANNOTATION: wish}
