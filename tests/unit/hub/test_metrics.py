"""What the hub counts on transitions, once each."""

from __future__ import annotations

import re

from prometheus_client import generate_latest

from hansa.model.times import rfc3339
from tests.unit.hub import kit
from tests.unit.reconcile.hub.hub_objects import NOW_S, condition

LATENCY_S = 7


def counted(hub: kit.HubKit, metric: str) -> dict[str, float]:
    """Return count and sum of a histogram, as a scrape has them."""
    page = generate_latest(hub.instruments.registry).decode()
    found = re.findall(rf"^{metric}_(count|sum)\{{[^}}]*\}} (\S+)$", page, re.MULTILINE)
    return {name: float(value) for name, value in found}


def started_job() -> tuple[kit.HubKit, str]:
    """Return a hub that has told of a job's start, and the grant's path."""
    clock = kit.Time()
    hub = kit.HubKit(kit.Store(clock), clock)
    kit.pool(hub.store)
    kit.namespace(hub.store)
    kit.node(hub.store, "tartu", kit.lent())
    kit.submit(hub.store, "study", **kit.gpus(1))
    hub.lead()
    hub.settle_down()
    ((path, _),) = kit.grants(hub.store).items()
    running = {
        "acceptedAt": rfc3339(NOW_S + 1),
        "runningAt": rfc3339(NOW_S + LATENCY_S),
        "conditions": [condition("Accepted"), condition("Running")],
    }
    clock.now_s += LATENCY_S + 1
    kit.answer(hub.store, path, running)
    hub.settle_down()
    return hub, path


def test_a_start_is_counted_from_apply_to_the_first_worker():
    hub, _ = started_job()

    assert counted(hub, "hansa_job_start_latency_seconds") == {"count": 1, "sum": LATENCY_S}
    assert counted(hub, "hansa_job_queue_wait_seconds") == {"count": 1, "sum": 0}


def test_a_start_is_counted_once_whatever_else_is_told_while_it_runs():
    hub, _ = started_job()
    before = hub.store.objects[kit.job_path("study")]["status"]

    kit.respec(hub.store, kit.job_path("study"), suspend=True)
    hub.settle_down()

    after = hub.store.objects[kit.job_path("study")]["status"]
    assert after["conditions"] != before["conditions"], "something new was told"
    assert "runningAt" in after
    assert counted(hub, "hansa_job_start_latency_seconds")["count"] == 1


def test_a_start_that_another_hub_told_is_not_counted_again():
    first, path = started_job()
    second = kit.HubKit(first.store, first.clock)
    first.step_down()
    second.lead()
    second.settle_down()
    kit.respec(first.store, kit.job_path("study"), suspend=True)
    second.settle_down()

    assert kit.grants(first.store)[path]["spec"]["cancel"] == "Stop"
    assert counted(second, "hansa_job_start_latency_seconds") == {}
