"""Whom this machine, or this pod, asks for names: what kubelet wrote into ``resolv.conf``."""

from __future__ import annotations

from pathlib import Path

RESOLV_CONF = Path("/etc/resolv.conf")
MOST_BYTES = 64 << 10


def nameservers(path: Path = RESOLV_CONF) -> tuple[str, ...]:
    """Return the addresses in it; none where it cannot be read."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            lines = file.read(MOST_BYTES).splitlines()
    except OSError:
        return ()
    rows = (line.split() for line in lines)
    return tuple(row[1] for row in rows if len(row) > 1 and row[0] == "nameserver")
