"""What every benchmark prints: progress while it runs, one JSON line last."""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from e2e.bench.phx.workload import OVERLAY_NOTE


def say(text: str) -> None:
    """Progress, for a person."""
    print(text, flush=True)


def stamp(seed: int) -> dict[str, object]:
    """Where, on what and from which seed a figure comes."""
    return {
        "machine": f"{_cpu_model()}, {platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "cores": len(os.sched_getaffinity(0)),
        "load_average_1m": round(os.getloadavg()[0], 2),
        "seed": seed,
        "workload": OVERLAY_NOTE,
    }


def finish(result: Mapping[str, object]) -> None:
    """Print the result as the last line."""
    sys.stderr.flush()
    print(json.dumps(result, separators=(",", ":")), flush=True)


def milliseconds(since: float) -> float:
    """Time since a reading of ``time.perf_counter``."""
    return (time.perf_counter() - since) * 1000


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return next((x.split(":", 1)[1].strip() for x in lines if x.startswith("model name")), "")
