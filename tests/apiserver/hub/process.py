"""A real hub as a child process, and its pages."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

from e2e.testbed.cluster.controlplane import ControlPlane
from e2e.testbed.host.clock import PATIENCE_S, elapsed_s
from e2e.testbed.host.ports import free_ports
from hansa.adapters.keys import Ed25519Signer


class HubProcess:
    """``hansa hub`` as a child process."""

    def __init__(self, plane: ControlPlane, folder: Path, name: str, **settings: str) -> None:
        key = folder / "hub.pem"
        if not key.exists():
            key.write_bytes(Ed25519Signer.generate().private_pem())
        self.name = name
        self.key_file = key
        self.log = folder / f"{name}.log"
        (self.port,) = free_ports(1)
        environment = {
            "HANSA_HUB_CLUSTER__KUBECONFIG": str(plane.kubeconfig),
            "HANSA_HUB_CLUSTER__NAMESPACE": "default",
            "HANSA_HUB_GRANTS__KEY_FILE": str(key),
            "HANSA_HUB_SERVING__HEALTH_PORT": str(self.port),
            "HANSA_HUB_SERVING__BIND": "127.0.0.1",
            "HANSA_HUB_LEADERSHIP__IDENTITY": name,
            "HANSA_HUB_LEADERSHIP__DURATION_SECONDS": "4",
            "HANSA_HUB_LEADERSHIP__RETRY_SECONDS": "0.5",
            "HANSA_HUB_GRANTS__CLOCK_SKEW_SECONDS": "1",
            "HANSA_HUB_PLANNING__TICK_SECONDS": "1",
            "HANSA_HUB_NODES__LEASE_GRACE_SECONDS": "20",
        }
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [str(Path(sys.executable).with_name("hansa")), "hub"],
                env=os.environ | environment | settings,
                stderr=log,
                stdout=log,
            )

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        """End it without a chance to tidy up."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def stop(self) -> int:
        """Ask it to end; return its exit status."""
        if self.running:
            self._process.terminate()
        return self._process.wait(timeout=PATIENCE_S)

    def page(self, path: str) -> str:
        """Return a page of its probe server; empty when there is none yet."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.read().decode()
        except OSError:
            return ""

    async def ready(self) -> None:
        await until(lambda: self.page("/readyz") == "ok", what=f"{self.name} ready", poll_s=0.2)


async def until(condition: Callable[[], object], *, what: str, poll_s: float = 0.05) -> None:
    deadline = elapsed_s() + PATIENCE_S
    while not condition():
        if elapsed_s() > deadline:
            raise TimeoutError(what)
        await asyncio.sleep(poll_s)
