"""What a process has used, read from ``/proc``: the honest half of every benchmark."""

from __future__ import annotations

import os
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_UTIME, _STIME = 13, 14
"""Positions in ``/proc/PID/stat`` counted from the pid, see proc(5)."""


def cpu_seconds(pid: int) -> float:
    """Return user plus system CPU seconds of a live process, its threads included."""
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    fields = stat.rsplit(")", 1)[1].split()
    return (int(fields[_UTIME - 2]) + int(fields[_STIME - 2])) / _TICKS_PER_S


def peak_rss_mib(pid: int) -> float:
    """Return the largest resident set of a live process so far, in MiB."""
    return _mib(pid, "VmHWM:")


def rss_mib(pid: int) -> float:
    """Return the resident set of a live process now, in MiB."""
    return _mib(pid, "VmRSS:")


def _mib(pid: int, field: str) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    line = next(line for line in status.splitlines() if line.startswith(field))
    return int(line.split()[1]) / 1024
