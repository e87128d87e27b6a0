"""``python -m hansa.exporter.check``: does the exporter tell the truth on this machine's real GPUs?

Needs a driver, ``nvidia-ml-py`` and ``prometheus-client``. Prints every reading and one JSON line
last; exits with 1 when there is none, or one contradicts physics, itself, or the driver's own limits.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence

from prometheus_client import CollectorRegistry, generate_latest

from hansa.adapters.gpu.nvml import NvmlProbe
from hansa.errors import Terminal
from hansa.exporter.samples import Round, round_samples
from hansa.observability.collectors import SampleCollector
from hansa.ports import GpuReading

PAUSE_S = 2.0
MAX_PLAUSIBLE_CELSIUS = 120
MILLI = 1000


def complaints(before: GpuReading, after: GpuReading, elapsed_s: float) -> Iterator[str]:
    """Yield what cannot be true of two readings of one GPU ``elapsed_s`` apart."""
    if before.uuid != after.uuid or not after.uuid.startswith("GPU-"):
        yield f"uuid {before.uuid} became {after.uuid}"
    if after.busy_percent is not None and not 0 <= after.busy_percent <= 100:  # noqa: PLR2004  # per cent
        yield f"busy {after.busy_percent} per cent"
    if after.temperature_celsius is not None and not (
        0 < after.temperature_celsius < MAX_PLAUSIBLE_CELSIUS
    ):
        yield f"{after.temperature_celsius} degrees"
    if (after.memory_used_bytes or 0) > (after.memory_total_bytes or 0):
        yield f"{after.memory_used_bytes} bytes used of {after.memory_total_bytes}"
    yield from _energy_complaints(before, after, elapsed_s)


def _energy_complaints(before: GpuReading, after: GpuReading, elapsed_s: float) -> Iterator[str]:
    if before.energy_millijoules is None or after.energy_millijoules is None:
        return
    joules = (after.energy_millijoules - before.energy_millijoules) / MILLI
    if joules <= 0:
        yield f"energy did not grow in {elapsed_s:.1f} s"
    watts = [r.power_milliwatts / MILLI for r in (before, after) if r.power_milliwatts is not None]
    # Power may move between the readings; a factor of three each way still catches a wrong unit.
    if watts and not min(watts) / 3 <= joules / elapsed_s <= max(watts) * 3:
        yield f"{joules:.1f} J in {elapsed_s:.1f} s does not go with {watts} W"


def _page(readings: Sequence[GpuReading]) -> str:
    registry = CollectorRegistry()
    registry.register(SampleCollector(lambda: round_samples(Round(readings), str.lower)))
    return generate_latest(registry).decode()


def main() -> int:
    """Read twice, print, judge."""
    probe = NvmlProbe()
    try:
        probe.read()  # loads the driver library: not part of what is timed
    except Terminal as error:
        sys.stderr.write(f"{error.reason}: {error}\n")
        return 1
    start = time.monotonic()  # noqa: TID251  # a script measuring real time on real hardware
    before = probe.read()
    read_s = time.monotonic() - start  # noqa: TID251  # same
    time.sleep(PAUSE_S)
    after = probe.read()
    elapsed_s = time.monotonic() - start - read_s  # noqa: TID251  # same
    found = [c for a, b in zip(before, after, strict=True) for c in complaints(a, b, elapsed_s)]
    summary = {
        "gpus": len(after),
        "models": sorted({gpu.model for gpu in after}),
        "read_ms": round(read_s * MILLI, 1),
        "untold": sorted(
            name
            for name in ("busy_percent", "power_milliwatts", "energy_millijoules", "ecc_corrected")
            if any(getattr(gpu, name) is None for gpu in after)
        ),
        "complaints": found,
    }
    sys.stdout.write(_page(after) + json.dumps(summary) + "\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
