"""Counters and histograms that only transitions can feed, made from the table in ``metrics.py``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
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
        self._guard = ReasonGuard()
        self._by_name = {
            metric.name: _instrument(metric, self.registry)
            for metric in m.exported_by(process)
            if metric.source == "transition"
        }
        self.attach(SampleCollector(lambda: [Sample(m.BUILD_INFO, 1, (hansa.__version__,))]))

    def attach(self, collector: Collector) -> None:
        """Add the collector that reads the caches at scrape time."""
        self.registry.register(collector)

    @contextmanager
    def attached(self, collector: Collector) -> Iterator[None]:
        """Have a collector for the length of a block."""
        self.attach(collector)
        try:
            yield
        finally:
            self.registry.unregister(collector)

    def add(self, metric: m.Metric, amount: float = 1.0, **labels: str) -> None:
        """Count ``amount`` on a counter."""
        self._labelled(metric, labels).inc(amount)

    def observe(self, metric: m.Metric, seconds: float, **labels: str) -> None:
        """Put one value into a histogram; a clock that went back counts as zero."""
        self._labelled(metric, labels).observe(max(0.0, seconds))

    def page(self) -> bytes:
        """Return the text page Prometheus scrapes."""
        return generate_latest(self.registry)

    def _labelled(self, metric: m.Metric, labels: dict[str, str]) -> Any:
        instrument = self._by_name[metric.name]
        if "reason" in labels:
            labels["reason"] = self._guard.bound(labels["reason"])
        return instrument.labels(**labels) if metric.labels else instrument


def _instrument(metric: m.Metric, registry: CollectorRegistry) -> Counter | Histogram:
    if metric.type == "histogram":
        return Histogram(
            metric.name, metric.help, metric.labels, buckets=metric.buckets, registry=registry
        )
    return Counter(metric.name, metric.help, metric.labels, registry=registry)
