"""The sockets of one client, so that closing it means that they are closed.

aiohttp forgets a connection whose request was cancelled while TLS still says good-bye on it, or while it
is being made; asyncio then waits up to 30 s for an answer, or for ever if the loop ends before.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from weakref import WeakSet

from aiohttp import AddrInfoType

POLL_S = 0.005
PATIENCE_S = 2.0


class Sockets:
    """Makes sockets (aiohttp's ``socket_factory``) and sees them off."""

    def __init__(self) -> None:
        self._made: WeakSet[socket.socket] = WeakSet()

    def __call__(self, address: AddrInfoType) -> socket.socket:
        """Return a new socket for ``address``."""
        family, kind, protocol, *_ = address
        made = socket.socket(family, kind, protocol)
        self._made.add(made)
        return made

    async def close(self) -> None:
        """End every conversation, and return when the loop has let go of its sockets."""
        for made in self._open():
            with contextlib.suppress(OSError):  # not connected, or the other side was faster
                made.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                while self._open():  # noqa: ASYNC110  # transports tell nobody but their protocol
                    await asyncio.sleep(POLL_S)

    def _open(self) -> list[socket.socket]:
        return [made for made in self._made if made.fileno() >= 0]
