"""Ledgers with one signing key, started as their process does, as far as their log."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest

from hansa.errors import Terminal
from hansa.ledger.receipts.evidence import Evidence, Taken
from hansa.ledger.receipts.logbook import Logbook
from hansa.ledger.receipts.opening import open_source
from hansa.ledger.receipts.source import NodeReceipts
from hansa.ledger.settings import LedgerSettings, Log, Signing
from hansa.ledger.store.engine import migrate, open_engine
from hansa.receipts.envelope import cosign, seal
from tests.unit.ledger.receipts.ledger_kit import Clock
from tests.unit.receipts.receipt_kit import HUB, NODE, history, opened

AT_ONCE = 4


def ledger(url: str, folder: Path) -> Logbook:
    """Start a ledger as its process does, as far as its log, and have it log what it has; returns the log.

    ``url``: of its database; ``folder``: of the log, and of nothing else.
    """
    folder.mkdir(exist_ok=True)
    key = folder / "key.pem"
    key.write_bytes(HUB.private_pem())
    settings = LedgerSettings(
        log=Log(folder=f"{folder}/log", index=f"{folder}/leaves.db"),
        signing=Signing(key_file=str(key)),
    )
    engine, nobody = open_engine(url), cast("Any", None)
    try:
        migrate(engine)
        source = cast("NodeReceipts", open_source(settings, nobody, nobody, engine, Clock()))
        source.prepare()
        assert source.logbook is not None
        source.logbook.catch_up(Evidence(engine))
        return source.logbook
    finally:
        engine.dispose()


def with_receipts(url: str, count: int = 3) -> str:
    """Have a database with so many receipts in evidence."""
    engine = open_engine(url)
    migrate(engine)
    receipts = history()[:count]
    Evidence(engine).add([Taken(opened(one), cosign(seal(one, NODE), HUB)) for one in receipts], 0)
    engine.dispose()
    return url


def start_many(url: str, folder: Path) -> list[tuple[int, str]]:
    """Start some ledgers at once, each a process with files of its own; returns how each ended and what it said."""
    code = f"from pathlib import Path; from {__name__} import ledger; import sys;"
    code += "ledger(sys.argv[1], Path(sys.argv[2]))"
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, url, str(folder / f"{number}")],
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(AT_ONCE)
    ]
    return [(one.wait(), one.communicate()[1]) for one in started]


def one_of_many_writes_the_log(url: str, folder: Path) -> None:
    """Over one database one ledger keeps the log, whoever comes at once or later; no other signs a tree."""
    ended = start_many(with_receipts(url), folder)
    assert sorted(code for code, _ in ended) == [0, *[1] * (AT_ONCE - 1)], ended
    assert all("is in other files" in said for code, said in ended if code)
    signed = [number for number in range(AT_ONCE) if (folder / f"{number}/log/checkpoint").exists()]
    (kept,) = signed
    assert ended[kept][0] == 0
    with pytest.raises(Terminal, match="is in other files"):
        ledger(url, folder / "later")
    ledger(url, folder / f"{kept}")
