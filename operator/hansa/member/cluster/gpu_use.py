"""What this member's exporters tell: how many GPUs the league's work keeps busy, what others hold.

A GPU counts when a kernel was resident on it and it serves a job, or may serve one. Where no
exporter tells (no driver, MIG), nothing is said about that class: unknown is not zero.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from hansa.adapters.pages import read_pages
from hansa.observability import metrics as m
from hansa.ports import Cluster

EXPORTER_LABELS = "app.kubernetes.io/name=hansa-exporter"
PORT_NAME = "http"
_NOBODYS = "none"
MOST_HELD = 1e15


async def exporter_pages(cluster: Cluster, namespace: str) -> list[str]:
    """Return the pages of the exporters in the agent's namespace."""
    path = f"/api/v1/namespaces/{namespace}/pods"
    pods = await cluster.list(path, labels=EXPORTER_LABELS, fields="status.phase=Running")
    urls = [url for pod in pods.items for url in metric_pages(pod)]
    return await read_pages(urls)


def metric_pages(pod: Mapping[str, Any]) -> Iterator[str]:
    """Yield the address of a pod's page of metrics, by the port named ``http``."""
    address = pod.get("status", {}).get("podIP", "")
    host = f"[{address}]" if ":" in address else address
    for container in pod.get("spec", {}).get("containers", []):
        for port in container.get("ports", []):
            if host and port.get("name") == PORT_NAME:
                yield f"http://{host}:{port['containerPort']}/metrics"


def count_busy(pages: Iterable[str]) -> dict[str, int]:
    """Return GPU class → busy GPUs; a page that is not one is left out."""
    counts: Counter[str] = Counter()
    for page in pages:
        try:
            counts.update(_count(list(_samples(page))))
        except ValueError:
            continue
    return dict(counts)


def read_held(pages: Iterable[str]) -> dict[str, dict[str, int]]:
    """Return machine → resource → thousandths that other people's pods hold, where it is told."""
    held: dict[str, dict[str, int]] = {}
    for page in pages:
        try:
            samples = list(_samples(page))
        except ValueError:
            continue
        for sample in samples:
            if (
                sample.name == m.MACHINE_REQUESTS.name
                and {*m.MACHINE_REQUESTS.labels} <= sample.labels.keys()
            ):
                amounts = held.setdefault(sample.labels["machine"], {})
                if 0 <= sample.value < MOST_HELD:
                    amounts[sample.labels["resource"]] = round(sample.value * 1000)
    return held


def read_served(pages: Iterable[str]) -> dict[str, dict[str, int | None]]:
    """Return job → GPU → millijoules its counter tells, for GPUs that serve one; None: it has none."""
    served: dict[str, dict[str, int | None]] = {}
    for page in pages:
        try:
            samples = list(_samples(page))
        except ValueError:
            continue
        drawn = {
            sample.labels["gpu"]: round(sample.value * 1000)
            for sample in _told(samples, m.GPU_ENERGY)
            if 0 <= sample.value < MOST_HELD
        }
        for sample in _told(samples, m.GPU_JOB):
            gpu, job = sample.labels["gpu"], sample.labels["aijob"]
            if job != _NOBODYS:
                served.setdefault(job, {})[gpu] = drawn.get(gpu)
    return served


def _samples(page: str) -> Iterator[Sample]:
    for family in text_string_to_metric_families(page):
        yield from family.samples


def _count(samples: list[Sample]) -> dict[str, int]:
    """Return GPU class → busy GPUs of one page; a sample without the labels of ours is not ours."""
    classes = {s.labels["gpu"]: s.labels["gpu_class"] for s in _told(samples, m.GPU_INFO)}
    idle = {s.labels["gpu"] for s in _told(samples, m.GPU_JOB) if s.labels["aijob"] == _NOBODYS}
    counts: dict[str, int] = {}
    for sample in _told(samples, m.GPU_BUSY):
        gpu = sample.labels["gpu"]
        if gpu in classes:
            busy = sample.value > 0 and gpu not in idle
            counts[classes[gpu]] = counts.get(classes[gpu], 0) + int(busy)
    return counts


def _told(samples: list[Sample], metric: m.Metric) -> list[Sample]:
    wanted = {*metric.labels}
    return [s for s in samples if s.name == metric.name and wanted <= s.labels.keys()]
