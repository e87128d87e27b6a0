"""Counters and histograms that only transitions can feed, made from the table in ``metrics.py``."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

import hansa
from hansa.observability import metrics as m
from hansa.observability.bounds import ReasonGuard
from hansa.observability.collectors import Sample, SampleCollector


class Instruments:
    """One process's registry: its instruments, and the collector of its caches once attached."""

    def __init__(self, process: m.Process) -> None:
        """Make every counter and histogram of the process; a series begins with its first value."""
        # One series fewer a label set; Prometheus sees resets by itself.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self._attached: list[SampleCollector] = []
        self._guard = ReasonGuard()
        self._by_name = {
            metric.name: _instrument(metric, self.registry)
            for metric in m.exported_by(process)
            if metric.source == "transition"
        }
        self.attach(SampleCollector(lambda: [Sample(m.BUILD_INFO, 1, (hansa.__version__,))]))

    def attach(self, collector: SampleCollector) -> None:
        """Add the collector that reads the caches at scrape time."""
        self._attached.append(collector)
        self.registry.register(collector)

    @contextmanager
    def attached(self, collector: SampleCollector) -> Iterator[None]:
        """Have a collector for the length of a block."""
        self.attach(collector)
        try:
            yield
        finally:
            self._attached.remove(collector)
            self.registry.unregister(collector)

    def add(self, metric: m.Metric, amount: float = 1.0, **labels: str) -> None:
        """Count ``amount`` on a counter."""
        self._labelled(metric, labels).inc(amount)

    def observe(self, metric: m.Metric, seconds: float, **labels: str) -> None:
        """Put one value into a histogram; a clock that went back counts as zero."""
        self._labelled(metric, labels).observe(max(0.0, seconds))

    async def scraped(self) -> bytes:
        """Return the page as of now: read in this turn of the event loop, and worded beside it."""
        read = [collector.as_read() for collector in self._attached]
        return await asyncio.to_thread(generate_latest, _Together([*self._by_name.values(), *read]))

    def _labelled(self, metric: m.Metric, labels: dict[str, str]) -> Any:
        instrument = self._by_name[metric.name]
        if "reason" in labels:
            labels["reason"] = self._guard.bound(labels["reason"])
        return instrument.labels(**labels) if metric.labels else instrument


class _Together(Collector):
    """Several collectors as one."""

    def __init__(self, collectors: Iterable[Collector]) -> None:
        self._collectors = collectors

    def collect(self) -> Iterator[Family]:
        """Yield the families of each."""
        for collector in self._collectors:
            yield from collector.collect()


def _instrument(metric: m.Metric, registry: CollectorRegistry) -> Counter | Histogram:
    if metric.type == "histogram":
        return Histogram(
            metric.name, metric.help, metric.labels, buckets=metric.buckets, registry=registry
        )
    return Counter(metric.name, metric.help, metric.labels, registry=registry)
