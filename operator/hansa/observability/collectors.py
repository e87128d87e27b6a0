"""Turns the values read at scrape time into Prometheus families, by the table in ``metrics.py``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any, TypeAlias

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from hansa.observability import metrics as m
from hansa.observability.bounds import ReasonGuard
from hansa.observability.views import HubReading, HubView, MemberReading, MemberView

SWITCH_STATES = ("Open", "Paused", "Stopped")


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of one metric; ``labels`` in the table's order."""

    metric: m.Metric
    value: float
    labels: tuple[str, ...] = ()


Samples: TypeAlias = Iterable[Sample]


class SampleCollector(Collector):
    """Asks for samples at each scrape and groups them into families."""

    def __init__(self, read: Callable[[], Samples], guard: ReasonGuard | None = None) -> None:
        """``read`` returns every sample of the process; ``guard`` bounds the reasons that they name."""
        self._read = read
        self._guard = guard or ReasonGuard()

    def as_read(self) -> SampleCollector:
        """Return one that has read already, to be collected wherever that is done."""
        samples = [*self._read()]
        return SampleCollector(lambda: samples, self._guard)

    def collect(self) -> Iterator[Family]:
        """Yield one family a metric that has samples."""
        families: dict[m.Metric, Any] = {}
        for (metric, labels), value in self._bounded().items():
            family = families.get(metric)
            if family is None:
                family = families[metric] = _family(metric)
            family.add_metric(labels, value)
        yield from families.values()

    def _bounded(self) -> dict[tuple[m.Metric, tuple[str, ...]], float]:
        """Return the samples; those that only a reason too many told apart are one."""
        values: dict[tuple[m.Metric, tuple[str, ...]], float] = {}
        for sample in self._read():
            labels = tuple(
                self._guard.bound(value) if name == "reason" else value
                for name, value in zip(sample.metric.labels, sample.labels, strict=True)
            )
            key = (sample.metric, labels)
            values[key] = values.get(key, 0.0) + sample.value
        return values

    def describe(self) -> Iterable[Family]:
        """Describe nothing, so that registering does not read the caches."""
        return []


def hub_collector(view: HubView) -> SampleCollector:
    """Return the collector of the hub's caches."""
    return SampleCollector(lambda: hub_samples(view.reading()))


def member_collector(view: MemberView) -> SampleCollector:
    """Return the collector of the member's caches."""
    return SampleCollector(lambda: member_samples(view.reading()))


def hub_samples(reading: HubReading) -> Iterator[Sample]:
    """Yield the hub's samples."""
    for jobs_by, count in reading.jobs.items():
        yield Sample(m.JOBS, count, jobs_by)
    for gpu in reading.gpus:
        labels = (gpu.institution, gpu.jurisdiction, gpu.gpu_class)
        yield Sample(m.GPUS, gpu.total, labels)
        yield Sample(m.GPUS_ALLOCATED, gpu.allocated, labels)
        yield from _optional(m.GPUS_BUSY, gpu.busy, labels)
    for objects_by, count in reading.objects.items():
        yield Sample(m.OBJECTS, count, objects_by)
    yield from _by_label(m.NODE_LEASE_AGE, reading.node_lease_age_s.items())
    yield from _by_label(m.WATCH_EVENT_AGE, reading.watch_event_age_s.items())
    yield from _by_label(m.EVENTS, reading.events.items())
    yield from _by_label(m.LEADER, ((name, float(led)) for name, led in reading.leases.items()))
    yield Sample(m.QUEUE_KEYS, reading.queue_keys)
    yield from _optional(m.PLAN_GAP, reading.plan_gap)
    yield from _optional(m.PRICES_AGE, reading.prices_age_s)
    yield from _optional(m.HUB_CLOCK_SKEW, reading.clock_skew_s)


def member_samples(reading: MemberReading) -> Iterator[Sample]:
    """Yield the member's samples."""
    switch = ((state, float(state == reading.switch)) for state in SWITCH_STATES)
    yield from chain(
        _by_label(m.MEMBER_JOBS, reading.jobs.items()),
        _by_label(m.MEMBER_GPUS, reading.gpus.items()),
        _by_label(m.MEMBER_GPUS_HELD, reading.gpus_held.items()),
        _by_label(m.MACHINE_GPUS, reading.machine_gpus.items()),
        _by_label(m.OFFERED_GPUS, reading.offered_gpus.items()),
        _by_label(m.WATCH_EVENT_AGE, reading.watch_event_age_s.items()),
        _by_label(m.MEMBER_CONDITION, reading.conditions.items()),
        _by_label(m.SWITCH, switch),
        _by_label(m.EVENTS, reading.events.items()),
        _optional(m.HUB_CONTACT_AGE, reading.hub_contact_age_s),
        _optional(m.TOKEN_REMAINING, reading.token_remaining_s),
        _optional(m.CLOCK_SKEW, reading.clock_skew_s),
        [Sample(m.QUEUE_KEYS, reading.queue_keys)],
    )


def _by_label(metric: m.Metric, values: Iterable[tuple[str, float]]) -> Iterator[Sample]:
    return (Sample(metric, value, (label,)) for label, value in values)


def _optional(
    metric: m.Metric, value: float | None, labels: tuple[str, ...] = ()
) -> Iterator[Sample]:
    """Yield nothing for None: absent says "not known", zero would be a claim."""
    if value is not None:
        yield Sample(metric, value, labels)


def _family(metric: m.Metric) -> CounterMetricFamily | GaugeMetricFamily:
    kind = CounterMetricFamily if metric.type == "counter" else GaugeMetricFamily
    return kind(metric.name, metric.help, labels=metric.labels)
