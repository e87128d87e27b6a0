"""A lease that lapses between two renewals: nobody is told, writes wait, and no key is lost."""

from __future__ import annotations

from hansa.api.kinds import AIJOB
from tests.unit.hub import kit


def test_a_grant_that_a_lapsed_lease_kept_back_is_written_after_the_renewal(monkeypatch):
    clock = kit.Time()
    hub = kit.HubKit(kit.Store(clock), clock)
    kit.pool(hub.store)
    kit.namespace(hub.store)
    kit.node(hub.store, "tartu", kit.lent())
    kit.submit(hub.store, "study", **kit.gpus(1))
    hub.hear()
    hub.lead()
    hub.plan()

    with monkeypatch.context() as lapse:
        before_each_write = iter([True])
        lapse.setattr(hub.executor, "_still_leader", lambda: next(before_each_write, False))
        hub.work()
    (job,) = (thing for thing in hub.store.objects.values() if thing["kind"] == AIJOB.name)
    assert job["status"]["node"] == "tartu"
    assert kit.grants(hub.store) == {}

    hub.queue.come_back()
    hub.settle_down()
    assert len(kit.grants(hub.store)) == 1
