"""Ports for servers on loopback that start a little later, maybe beside other test processes."""

from __future__ import annotations

import atexit
import socket

_RANGE = range(20_000, 32_768)
"""Below Linux's ephemeral ports: no outgoing connection takes one before its server has started."""


def free_ports(count: int) -> list[int]:
    """Return ``count`` loopback ports nobody listens on, claimed until this process ends."""
    found: list[int] = []
    for port in _RANGE:
        if _claim(port):
            found.append(port)
        if len(found) == count:
            return found
    raise RuntimeError(f"fewer than {count} ports are free")


def _claim(port: int) -> bool:
    """Take the name of a port and see that it is free.

    An abstract socket has just the scope of the port, its network namespace, and goes with us.
    """
    claim = socket.socket(socket.AF_UNIX)
    try:
        claim.bind(f"\0hansa-testbed-port-{port}")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
    except OSError:
        claim.close()
        return False
    atexit.register(claim.close)
    return True
