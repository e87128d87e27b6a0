"""Postings a second: receipts are metered and charged, then what is charged is posted.

One posting is one event of one claim, with its one to three movements of money: each receipt makes
two. Nothing is switched off: SQLite syncs each transaction, PostgreSQL commits each.
"""

from __future__ import annotations

import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Engine

from e2e.bench.ledger.uses import drawn
from e2e.testbed.host.postgres import postgres
from e2e.testbed.host.progress import Progress
from hansa.accounting.books import disorders
from hansa.accounting.postings import Event
from hansa.accounting.usage import Usage
from hansa.ledger.store.engine import migrate, open_engine
from hansa.ledger.store.reader import LedgerReader
from hansa.ledger.store.writer import LedgerWriter

BATCH = 100
HOLDBACK_BP = 1000
WRITERS = 16


class UnbalancedError(RuntimeError):
    """The books are not in order: what was measured counts for nothing."""


class Rate(NamedTuple):
    """Postings a second, by the clock and by what this process took of a core."""

    per_s: int
    per_cpu_s: int


def sqlite(count: int, seed: int) -> Rate:
    """Postings a second with one writer, on the disk of the working directory."""
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as folder:
        engine = open_engine(f"sqlite:///{folder}/books.db")
        try:
            return _rate(engine, [list(drawn(count, seed=seed))])
        finally:
            engine.dispose()


def postgresql(count: int, seed: int) -> Rate:
    """Postings a second with 16 writers; the server's share of the cores is in none of the two."""
    with postgres(Progress()) as url:
        engine = open_engine(url, connections=WRITERS)
        try:
            share = count // WRITERS
            return _rate(engine, [list(drawn(share, seed=seed + n)) for n in range(WRITERS)])
        finally:
            engine.dispose()


def _rate(engine: Engine, streams: list[list[Usage]]) -> Rate:
    migrate(engine)
    writer, reader = LedgerWriter(engine, holdback_bp=HOLDBACK_BP), LedgerReader(engine)
    since, cpu_since = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(len(streams)) as pool:
        done = sum(pool.map(lambda stream: _write(writer, stream), streams))
    took_s, cpu_s = time.perf_counter() - since, time.process_time() - cpu_since
    count = sum(map(len, streams))
    found = (*disorders(reader.books()), *([] if done == 2 * count else [f"{done} of {2 * count}"]))
    if found:
        raise UnbalancedError("; ".join(found))
    return Rate(round(done / took_s), round(done / cpu_s))


def _write(writer: LedgerWriter, stream: list[Usage]) -> int:
    done = 0
    for start in range(0, len(stream), BATCH):
        fresh = writer.record(stream[start : start + BATCH], start).fresh
        done += len(fresh) + len(writer.happen(Event.POST, fresh, start))
    return done
