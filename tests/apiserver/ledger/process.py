"""A real ledger as a child process, with the account that its chart gives it."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import yaml

from e2e.testbed.cluster.controlplane import ControlPlane
from e2e.testbed.host.ports import free_ports
from tests.apiserver.charts.charted import SYSTEM


def own_kubeconfig(plane: ControlPlane, folder: Path) -> Path:
    """The admin's kubeconfig with the ledger's token in it."""
    token = plane.kubectl("-n", SYSTEM, "create", "token", "hansa-ledger").strip()
    config = yaml.safe_load(Path(plane.kubeconfig).read_text())
    config["users"] = [{"name": user["name"], "user": {"token": token}} for user in config["users"]]
    path = folder / "ledger.kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return path


class LedgerProcess:
    """One ledger."""

    def __init__(self, kubeconfig: Path, folder: Path, **settings: str) -> None:
        (self.port,) = free_ports(1)
        self.url = f"sqlite:///{folder}/books.db"
        self._log = folder / "ledger.log"
        environment = {
            "HANSA_LEDGER_CLUSTER__KUBECONFIG": str(kubeconfig),
            "HANSA_LEDGER_DATABASE__URL": self.url,
            "HANSA_LEDGER_SERVING__HEALTH_PORT": str(self.port),
            "HANSA_LEDGER_SERVING__BIND": "127.0.0.1",
        }
        with self._log.open("ab") as out:
            command = [str(Path(sys.executable).with_name("hansa")), "ledger"]
            env = os.environ | environment | settings
            self._process = subprocess.Popen(command, env=env, stdout=out, stderr=out)

    def page(self, path: str) -> str:
        """Return what it serves there; empty while it does not, or is not well."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.read().decode()
        except OSError:
            return ""

    def end(self) -> int:
        """End it as Kubernetes does."""
        if self._process.poll() is None:
            self._process.terminate()
        return self._process.wait(timeout=30)

    @property
    def log(self) -> str:
        """What it said."""
        return self._log.read_text()

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None
