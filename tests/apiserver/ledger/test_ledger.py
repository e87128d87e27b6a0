"""``hansa ledger`` as its chart lets it run: with its own account, over a real API server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.testbed.build.binaries import Binaries
from e2e.testbed.host.clock import wait_until
from hansa.ledger.store.engine import open_engine
from hansa.ledger.store.reader import LedgerReader
from tests.apiserver.charts.charted import Charted, bare, hub_installed, thing
from tests.apiserver.ledger.process import LedgerProcess, own_kubeconfig

pytestmark = pytest.mark.apiserver


@pytest.fixture(scope="module")
def hub(binaries: Binaries) -> Iterator[Charted]:
    with hub_installed(binaries) as charted:
        charted.apply(thing("Namespace", "lab", labels={"hansa.dev/institution": "lab"}))
        charted.apply(bare("Project", "lab"))
        charted.apply(bare("SovereignNode"))
        yield charted


@pytest.fixture(scope="module")
def ledger(hub: Charted, tmp_path_factory) -> Iterator[LedgerProcess]:
    folder = tmp_path_factory.mktemp("ledger")
    process = LedgerProcess(own_kubeconfig(hub.plane, folder), folder)
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


def test_a_database_that_cannot_be_had_is_named(hub: Charted, tmp_path: Path):
    (tmp_path / "books.db").mkdir()
    process = LedgerProcess(own_kubeconfig(hub.plane, tmp_path), tmp_path)
    wait_until(lambda: not process.running, what="the ledger to give up")
    assert process.end() == 1
    assert "the ledger's database" in process.log
