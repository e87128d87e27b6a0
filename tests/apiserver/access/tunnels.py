"""A site whose only way out is a proxy: a network namespace without a route, and a proxy on its cable."""

from __future__ import annotations

import contextlib
import os
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from e2e.troubles.proxy import Proxy
from tests.conftest import skip_or_fail

LINK = "172.31.251"
"""First three numbers of the cable's addresses: .1 is the proxy's side, .2 the site's."""


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


def proxy_to(server: tuple[str, int], opens_tls: ssl.SSLContext | None = None) -> Proxy:
    """Return a proxy at the other end of the cable."""
    return Proxy(f"{LINK}.1", server, opens_tls)


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
