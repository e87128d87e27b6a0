"""One round of readings as samples of the metric table. Pure, so the check script can use it too."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from hansa.exporter.attribution import UNKNOWN, Served
from hansa.observability import metrics as m
from hansa.observability.collectors import Sample
from hansa.ports import GpuReading


@dataclass(frozen=True, slots=True)
class Round:
    """The last reading, or why there is none."""

    readings: Sequence[GpuReading] = ()
    served: Mapping[str, Served] = field(default_factory=dict)
    trouble: str = ""
    """Reason without readings: NoDriver, NoGpu, Starting, Stale …"""


COUNTABLE = frozenset({"", "NoDriver", "NoGpu"})
"""Troubles in which it is known which cards there are: a driver that answers wrongly may have all of them."""
APPLICATION_XIDS = frozenset({13, 31, 43, 45, 68, 109})
"""What a program does to itself, as NVIDIA's device plugin has it; all others are the card's."""


def round_samples(last: Round, class_of: Callable[[str], str]) -> Iterator[Sample]:
    """Yield the exporter's samples; ``class_of`` turns the driver's model name into a GPU class."""
    yield Sample(m.PROBE_UP, 0.0 if last.trouble else 1.0, (last.trouble,))
    if any(gpu.is_ill for gpu in last.readings):
        yield Sample(m.PROBE_UP, 0.0, ("CardError",))
    for gpu in last.readings:
        served = last.served.get(gpu.uuid, UNKNOWN)
        yield Sample(m.GPU_INFO, 1, (gpu.uuid, str(gpu.index), class_of(gpu.model)))
        yield Sample(m.GPU_JOB, 1, (gpu.uuid, served.job, served.institution))
        yield from _told(gpu)
        yield from _xids(gpu)


def seen_samples(machine: str, last: Round) -> Iterator[Sample]:
    """Yield how many cards the driver shows; nothing while it does not answer, or of no machine."""
    if machine and last.trouble in COUNTABLE:
        yield Sample(m.GPUS_SEEN, len(last.readings), (machine,))


def held_samples(machine: str, held: Mapping[str, int] | None) -> Iterator[Sample]:
    """Yield what other people's pods hold; ``held``: resource → thousandths, None: not known."""
    for resource, amount in {"pods": 0, **held}.items() if held is not None else ():
        yield Sample(m.MACHINE_REQUESTS, amount / 1000, (machine, resource))


def _told(gpu: GpuReading) -> Iterator[Sample]:
    """Yield what the card tells: None has no series."""
    rows = (
        (m.GPU_BUSY, gpu.busy_percent, 100, ()),
        (m.GPU_MEMORY_USED, gpu.memory_used_bytes, 1, ()),
        (m.GPU_MEMORY_TOTAL, gpu.memory_total_bytes, 1, ()),
        (m.GPU_POWER, gpu.power_milliwatts, 1000, ()),
        (m.GPU_ENERGY, gpu.energy_millijoules, 1000, ()),
        (m.GPU_TEMPERATURE, gpu.temperature_celsius, 1, ()),
        (m.GPU_SLOWDOWN, gpu.slowdown_celsius, 1, ()),
        (m.GPU_ECC, gpu.ecc_corrected, 1, ("corrected",)),
        (m.GPU_ECC, gpu.ecc_uncorrected, 1, ("uncorrected",)),
    )
    for metric, value, per_unit, more in rows:
        if value is not None:
            yield Sample(metric, value / per_unit, (gpu.uuid, *more))


def _xids(gpu: GpuReading) -> Iterator[Sample]:
    """Yield zeros too: what grows from nothing does not grow, for Prometheus.

    The last of each cause is named: programs that a card's own error ends have errors after it.
    """
    if gpu.xids is None:
        return
    for cause, is_own in (("application", True), ("hardware", False)):
        found = {x: n for x, n in gpu.xids.items() if (x in APPLICATION_XIDS) is is_own}
        yield Sample(m.GPU_XIDS, sum(found.values()), (gpu.uuid, cause))
        for xid in list(found)[-1:]:
            yield Sample(m.GPU_LAST_XID, 1, (gpu.uuid, str(xid), cause))
