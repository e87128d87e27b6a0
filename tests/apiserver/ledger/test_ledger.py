"""``hansa ledger`` as its chart lets it run: with its own account, over a real API server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from e2e.testbed.build.binaries import Binaries
from e2e.testbed.host.clock import wait_until
from e2e.testbed.host.ports import free_ports
from hansa.adapters.keys import Ed25519Signer
from hansa.ledger.receipts.evidence import Evidence
from hansa.ledger.store.engine import open_engine
from hansa.ledger.store.reader import LedgerReader
from tests.apiserver.charts.charted import HUB, SYSTEM, Charted, bare, hub_installed, thing

pytestmark = pytest.mark.apiserver


@pytest.fixture(scope="module")
def hub(binaries: Binaries) -> Iterator[Charted]:
    with hub_installed(binaries) as charted:
        charted.apply(thing("Namespace", "lab", labels={"hansa.dev/institution": "lab"}))
        charted.apply(bare("Project", "lab"))
        charted.apply(bare("SovereignNode"))
        yield charted


def own_kubeconfig(hub: Charted, folder: Path) -> Path:
    """The admin's kubeconfig with the ledger's token in it."""
    token = hub.kubectl("-n", SYSTEM, "create", "token", "hansa-ledger").strip()
    config = yaml.safe_load(Path(hub.plane.kubeconfig).read_text())
    config["users"] = [{"name": user["name"], "user": {"token": token}} for user in config["users"]]
    path = folder / "ledger.kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return path


class LedgerProcess:
    """One ledger."""

    def __init__(self, kubeconfig: Path, folder: Path) -> None:
        (self.port,) = free_ports(1)
        self.url = f"sqlite:///{folder}/books.db"
        self._log = folder / "ledger.log"
        key = folder / "hub.pem"
        key.write_bytes(Ed25519Signer.generate().private_pem())
        environment = {
            "HANSA_LEDGER_SIGNING__KEY_FILE": str(key),
            "HANSA_LEDGER_LOG__FOLDER": str(folder / "log"),
            "HANSA_LEDGER_LOG__INDEX": str(folder / "leaves.db"),
            "HANSA_LEDGER_INTAKE__INTERVAL_SECONDS": "20",
            "HANSA_LEDGER_CLUSTER__KUBECONFIG": str(kubeconfig),
            "HANSA_LEDGER_DATABASE__URL": self.url,
            "HANSA_LEDGER_SERVING__HEALTH_PORT": str(self.port),
            "HANSA_LEDGER_SERVING__BIND": "127.0.0.1",
        }
        with self._log.open("ab") as out:
            command = [str(Path(sys.executable).with_name("hansa")), "ledger"]
            env = os.environ | environment
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


@pytest.fixture(scope="module")
def ledger(hub: Charted, tmp_path_factory) -> Iterator[LedgerProcess]:
    folder = tmp_path_factory.mktemp("ledger")
    process = LedgerProcess(own_kubeconfig(hub, folder), folder)
    try:
        wait_until(lambda: process.page("/readyz") == "ok", what="the ledger to be ready")
        yield process
    finally:
        assert process.end() == 0, process.log


def status(hub: Charted) -> dict:
    found: dict = json.loads(hub.kubectl("-n", "lab", "get", "project", "screening", "-o", "json"))
    return found.get("status") or {}


def test_a_project_is_told_what_it_has_spent(hub: Charted, ledger: LedgerProcess):
    wait_until(lambda: "spent" in status(hub), what="the project to be told")
    told = status(hub)
    assert told["spent"] == {"amount": "0", "currency": "EUR"}
    assert [(row["type"], row["status"]) for row in told["conditions"]] == [("Open", "True")]
    assert "failed" not in ledger.log


def test_its_figures_are_served_and_its_books_are_there(ledger: LedgerProcess):
    page = ledger.page("/metrics")
    assert "hansa_ledger_receipts 0.0" in page
    assert 'hansa_project_budget_ratio{project="lab/screening"} 0.0' in page
    assert LedgerReader(open_engine(ledger.url)).standing().receipts == 0


def test_a_grant_that_lives_shorter_than_a_pass_is_kept(hub: Charted, ledger: LedgerProcess):
    """It is heard of by watch, which the ledger's own account has to be allowed."""
    grant = bare("WorkGrant", "hansa-node-tartu")
    name = grant["metadata"]["name"]
    hub.apply(grant, user=HUB)
    hub.kubectl("-n", "hansa-node-tartu", "delete", "workgrant", name, "--wait=false")
    evidence, key = Evidence(open_engine(ledger.url)), grant["spec"]["audience"]
    wait_until(
        lambda: evidence.granted(f"{grant['spec']['job']['uid']}.1", key), what="it to be kept"
    )


def test_a_database_that_cannot_be_had_is_named(hub: Charted, tmp_path: Path):
    (tmp_path / "books.db").mkdir()
    process = LedgerProcess(own_kubeconfig(hub, tmp_path), tmp_path)
    wait_until(lambda: process._process.poll() is not None, what="the ledger to give up")
    assert process.end() == 1
    assert "the ledger's database" in process.log
