"""A proxy that knows CONNECT and nothing else."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

MOST_HEAD = 8192
"""Bytes of a request's head."""


@dataclass
class Proxy:
    """Listens at ``address`` and leads every tunnel to one place; ``opens_tls``: reads in them instead."""

    address: str
    leads_to: tuple[str, int]
    opens_tls: ssl.SSLContext | None = None
    asked: list[str] = field(default_factory=list)
    """First line of each request."""
    overheard: bytes = b""
    """What it read in tunnels that it opened."""
    port: int = 0

    @property
    def url(self) -> str:
        """Where it is asked, once it runs."""
        return f"http://{self.address}:{self.port}"

    @contextlib.contextmanager
    def running(self) -> Iterator[Proxy]:
        """Serve until the block ends."""
        with socket.create_server((self.address, 0)) as door:
            self.port = door.getsockname()[1]
            threading.Thread(target=self._serve, args=(door,), daemon=True).start()
            yield self

    def _serve(self, door: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                caller, _ = door.accept()
                threading.Thread(target=self._lead, args=(caller,), daemon=True).start()

    def _lead(self, caller: socket.socket) -> None:
        with contextlib.suppress(OSError), caller:
            head = b""
            while b"\r\n\r\n" not in head and len(head) < MOST_HEAD:
                head += caller.recv(1024) or b"\r\n\r\n"
            line = head.split(b"\r\n")[0].decode(errors="replace")
            self.asked.append(line)
            if not line.startswith("CONNECT "):
                caller.sendall(b"HTTP/1.1 405 Only tunnels\r\n\r\n")
                return
            caller.sendall(b"HTTP/1.1 200 Led\r\n\r\n")
            if self.opens_tls is not None:
                with self.opens_tls.wrap_socket(caller, server_side=True) as opened:
                    self.overheard += opened.recv(MOST_HEAD)
                return
            with socket.create_connection(self.leads_to) as server:
                _pass(caller, server)


def _pass(one: socket.socket, other: socket.socket) -> None:
    ways = {one: other, other: one}
    while True:
        for ready in select.select(list(ways), [], [])[0]:
            data = ready.recv(1 << 16)
            if not data:
                return
            ways[ready].sendall(data)
