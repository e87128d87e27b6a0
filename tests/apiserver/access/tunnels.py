"""A site whose only way out is a proxy: a network namespace without a route, and a proxy that knows CONNECT."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.conftest import skip_or_fail

LINK = "172.31.251"
"""First three numbers of the cable's addresses: .1 is the proxy's side, .2 the site's."""
MOST_HEAD = 8192


@dataclass
class Proxy:
    """Listens on the cable and leads tunnels to one place; ``identity``: opens TLS itself, by that name."""

    leads_to: tuple[str, int]
    opens_tls: ssl.SSLContext | None = None
    asked: list[str] = field(default_factory=list)
    """First line of each request."""
    overheard: bytes = b""
    """What it read in tunnels that it opened."""
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://{LINK}.1:{self.port}"

    @contextlib.contextmanager
    def running(self) -> Iterator[Proxy]:
        with socket.create_server((f"{LINK}.1", 0)) as door:
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


@dataclass(frozen=True)
class Site:
    """The namespace: its programs reach the cable's other end and nothing else."""

    name: str

    def start(self, *argv: str | Path, log: Path, **env: str) -> subprocess.Popen[bytes]:
        """Start a program there, with a small environment of its own."""
        plain = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "PYTHONUNBUFFERED": "1"}
        with log.open("wb") as file:
            return subprocess.Popen(
                ["ip", "netns", "exec", self.name, *map(str, argv)],
                env=plain | env,
                stdout=file,
                stderr=subprocess.STDOUT,
            )


@contextlib.contextmanager
def cut_off_site() -> Iterator[Site]:
    """Make the namespace and its cable, and take both away again."""
    name, cable = f"hansa-{os.getpid()}", f"hx{os.getpid()}"
    if os.geteuid() != 0 or subprocess.run(["ip", "netns", "add", name], check=False).returncode:
        skip_or_fail("a network namespace needs root")
    try:
        inside = ("-n", name)
        for args in (
            ("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", name),
            ("addr", "add", f"{LINK}.1/30", "dev", cable),
            ("link", "set", cable, "up"),
            (*inside, "addr", "add", f"{LINK}.2/30", "dev", "eth0"),
            (*inside, "link", "set", "lo", "up"),
            (*inside, "link", "set", "eth0", "up"),
        ):
            subprocess.run(["ip", *args], check=True)
        yield Site(name)
    finally:
        subprocess.run(["ip", "link", "del", cable], check=False, stderr=subprocess.DEVNULL)
        subprocess.run(["ip", "netns", "del", name], check=False)
