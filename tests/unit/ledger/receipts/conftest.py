"""The ledger's intake over books on disk, anew for each test."""

from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.unit.ledger.receipts.ledger_kit import Ledger


@pytest.fixture
def ledger(engine: Engine, tmp_path: Path) -> Ledger:
    return Ledger(engine, tmp_path)
