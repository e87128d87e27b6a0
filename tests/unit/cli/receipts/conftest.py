"""What the commands about receipts share."""

import pytest

from tests.unit.cli.receipts.kept_receipts import Later


@pytest.fixture
def later(monkeypatch):
    """Let `verify` read its bundle some minutes after the last receipt."""
    monkeypatch.setattr("hansa.cli.receipts.verify.SystemClock", Later)
