"""A real hub as a child process, and its pages."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path

from e2e.testbed.cluster.controlplane import ControlPlane
from e2e.testbed.host.clock import PATIENCE_S, elapsed_s
from hansa.adapters.keys import Ed25519Signer
from tests.apiserver.served import Served

UNRIVALLED = {"HANSA_HUB_LEADERSHIP__DURATION_SECONDS": "60"}
"""For a hub that nobody is to succeed: its lease may outlast a machine that stalls.

One that ends for a change of leaders leaves it to lapse.
"""


class HubProcess(Served):
    """``hansa hub`` as a child process."""

    def __init__(self, plane: ControlPlane, folder: Path, name: str, **settings: str) -> None:
        super().__init__()
        key = folder / "hub.pem"
        if not key.exists():
            key.write_bytes(Ed25519Signer.generate().private_pem())
        self.name = name
        self.key_file = key
        self.log = folder / f"{name}.log"
        environment = {
            "HANSA_HUB_CLUSTER__KUBECONFIG": str(plane.kubeconfig),
            "HANSA_HUB_CLUSTER__NAMESPACE": "default",
            "HANSA_HUB_GRANTS__KEY_FILE": str(key),
            "HANSA_HUB_SERVING__HEALTH_PORT": str(self.port),
            "HANSA_HUB_SERVING__BIND": "127.0.0.1",
            "HANSA_HUB_LEADERSHIP__IDENTITY": name,
            "HANSA_HUB_LEADERSHIP__DURATION_SECONDS": "6",
            "HANSA_HUB_LEADERSHIP__RETRY_SECONDS": "0.5",
            "HANSA_HUB_GRANTS__CLOCK_SKEW_SECONDS": "1",
            "HANSA_HUB_PLANNING__TICK_SECONDS": "1",
            "HANSA_HUB_NODES__LEASE_GRACE_SECONDS": "20",
            # To load the compiled kernel takes longer than a test's few jobs are worth.
            "NUMBA_DISABLE_JIT": "1",
        }
        self.start("hub", environment | settings, self.log)

    def kill(self) -> None:
        """End it without a chance to tidy up."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def stop(self) -> int:
        """Ask it to end; return its exit status."""
        return self.end()

    async def ready(self) -> None:
        await until(lambda: self.page("/readyz") == "ok", what=f"{self.name} ready", poll_s=0.2)


async def until(condition: Callable[[], object], *, what: str, poll_s: float = 0.05) -> None:
    deadline = elapsed_s() + PATIENCE_S
    while not condition():
        if elapsed_s() > deadline:
            raise TimeoutError(what)
        await asyncio.sleep(poll_s)
