"""A desk with a month of trade, just after the month has ended."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from hansa.cli.books.settlement import countersign, own_receipts, payment, propose
from tests.unit.accounting.settlement.clearings import UNTIL_MS
from tests.unit.cli.books.office import Office


@pytest.fixture
def clock(monkeypatch) -> SimpleNamespace:
    time = SimpleNamespace(now_s=UNTIL_MS / 1000 + 3600)
    for module in (propose, countersign, own_receipts, payment):
        monkeypatch.setattr(module, "SystemClock", lambda: SimpleNamespace(now=lambda: time.now_s))
    return time


@pytest.fixture
def office(tmp_path: Path, clock) -> Iterator[Office]:
    del clock
    made = Office(tmp_path)
    made.trade(UNTIL_MS - 1)
    yield made
    made.engine.dispose()
