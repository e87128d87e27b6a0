"""What a scrape tells of plans: GPUs by the class that was granted, and the gap of the last full plan."""

from __future__ import annotations

import pytest

from hansa.hub.scrape_view import ScrapeView
from hansa.observability.collectors import hub_collector
from hansa.observability.metrics import GPUS_ALLOCATED, PLAN_GAP
from tests.unit.hub import kit
from tests.unit.hub.driving import Elected


def samples(hub, metric):
    view = ScrapeView(
        hub.caches,
        hub.pricing,
        hub.queue,
        clock=hub.clock,
        election=Elected(),
        events={},
    )
    families = [family for family in hub_collector(view).collect() if family.name == metric.name]
    return [sample for family in families for sample in family.samples]


def gap(hub):
    return [sample.value for sample in samples(hub, PLAN_GAP)]


def test_gpus_are_counted_for_the_class_that_a_job_was_placed_for(hub, store):
    """A job that takes any class gets one; after a restart the first one is assumed."""
    two = [kit.lent(1, 4, gpu_class=name) for name in ("nvidia-a100", "nvidia-l40s")]
    both = {**two[0], **{n: [*two[0][n], *two[1][n]] for n in ("inventory", "shapes")}}
    kit.node(store, "tartu", both, prices=[{"gpuClass": "nvidia-a100", "perGpuHour": "9"}])
    kit.submit(store, "any", **kit.gpus(2))
    kit.later(hub)
    held = {s.labels["gpu_class"]: s.value for s in samples(hub, GPUS_ALLOCATED)}
    assert held == {"nvidia-a100": 0, "nvidia-l40s": 2}


def test_the_gap_is_that_of_the_last_full_plan(hub, store):
    """Gangs of three on four GPUs leave one that the bound counts; a full league misses nothing."""
    assert gap(hub) == [0.0]
    for name in ("a", "b"):
        kit.submit(store, name, **kit.gpus(3))
    kit.later(hub)
    assert gap(hub) == [pytest.approx(0.25, abs=0.01)]
    kit.later(hub)
    kit.submit(store, "c", **kit.gpus(2))
    kit.later(hub)
    assert gap(hub) == [0.0]


def test_there_is_no_gap_before_the_first_plan(store, clock):
    hub = kit.HubKit(store, clock)
    hub.hear()
    assert gap(hub) == []
