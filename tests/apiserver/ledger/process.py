"""A real ledger as a child process, with the account that its chart gives it."""

from __future__ import annotations

from pathlib import Path

import yaml

from e2e.testbed.cluster.controlplane import ControlPlane
from tests.apiserver.charts.charted import SYSTEM
from tests.apiserver.served import Served


def own_kubeconfig(plane: ControlPlane, folder: Path) -> Path:
    """The admin's kubeconfig with the ledger's token in it."""
    token = plane.kubectl("-n", SYSTEM, "create", "token", "hansa-ledger").strip()
    config = yaml.safe_load(Path(plane.kubeconfig).read_text())
    config["users"] = [{"name": user["name"], "user": {"token": token}} for user in config["users"]]
    path = folder / "ledger.kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return path


class LedgerProcess(Served):
    """One ledger."""

    def __init__(self, kubeconfig: Path, folder: Path, **settings: str) -> None:
        super().__init__()
        self.url = f"sqlite:///{folder}/books.db"
        self._log = folder / "ledger.log"
        environment = {
            "HANSA_LEDGER_CLUSTER__KUBECONFIG": str(kubeconfig),
            "HANSA_LEDGER_DATABASE__URL": self.url,
            "HANSA_LEDGER_SERVING__HEALTH_PORT": str(self.port),
            "HANSA_LEDGER_SERVING__BIND": "127.0.0.1",
        }
        self.start("ledger", environment | settings, self._log)

    @property
    def log(self) -> str:
        """What it said."""
        return self._log.read_text()
