"""The log has one writer: a second ledger over the same files would sign another tree of the same size."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hansa.adapters.files import FileStore
from hansa.errors import Terminal
from hansa.ledger.receipts.opening import open_log
from hansa.ledger.settings import Log
from tests.unit.grants.grant_kit import HUB
from tests.unit.ledger.receipts.ledger_kit import Clock


def log_in(folder: Path) -> Log:
    return Log(folder=f"{folder}/log", index=f"{folder}/leaves.db")


def test_two_ledgers_do_not_write_one_log(tmp_path: Path):
    first = open_log(log_in(tmp_path), HUB, Clock())
    with pytest.raises(Terminal, match="held by another process"):
        open_log(log_in(tmp_path), HUB, Clock())
    first._appender._index.close()


def test_a_ledger_that_was_killed_leaves_the_log_to_the_next(tmp_path: Path):
    store = FileStore(tmp_path / "log")
    other = f"from pathlib import Path; from {FileStore.__module__} import FileStore;"
    other += f"FileStore(Path({str(tmp_path / 'log')!r})).hold()"
    subprocess.run([sys.executable, "-c", other], check=True)
    store.hold()
    assert (
        subprocess.run([sys.executable, "-c", other], check=False, capture_output=True).returncode
        == 1
    )


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path):
    (tmp_path / "log").write_text("a file")
    with pytest.raises(Terminal, match="cannot be held"):
        open_log(Log(folder=f"{tmp_path}/log/log", index=f"{tmp_path}/leaves.db"), HUB, Clock())
