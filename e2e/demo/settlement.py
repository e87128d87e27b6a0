"""After the jobs: what each of them used, what it costs, and that a stranger can check it offline."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from e2e.demo.account import Account, account_of, billed_rows, is_complete, timed
from e2e.demo.books import Books
from e2e.testbed.host.clock import wait_until
from e2e.testbed.host.progress import Progress

SETTLED_S = 600.0
"""From a job's end to its last receipt in the books, after its namespace is gone: a ceiling, as ``JOB_S``."""


def settle(
    books: Books, progress: Progress, jobs: Sequence[str], node_key: Callable[[str], str]
) -> tuple[Account, ...]:
    """Show receipts, bill and offline check of each finished job.

    Args:
        books: What the ledger keeps.
        progress: Tells it.
        jobs: ``namespace/name`` of all jobs that have ended.
        node_key: Node → its pinned key.

    Raises ``AssertionError`` for a job without receipts, or whose sums do not agree.
    """
    return tuple(_settled(books, progress, job, node_key) for job in jobs)


def _settled(books: Books, progress: Progress, job: str, node_key: Callable[[str], str]) -> Account:
    with progress.step(f"receipts and bill of {job}"):
        file, bill = _awaited(books, job)
        account = account_of(job, json.loads(file.read_text(encoding="utf-8")), bill)
        if account.faults:
            raise AssertionError(f"{job}: {'; '.join(account.faults)}")
        checked = books.verify(file, node_key(account.node))
    progress.note(in_words(account))
    progress.note(f"$ hansa bill {job}\n{bill.rstrip()}")
    progress.note(f"$ hansa verify {file.name}  # without a network\n{checked.rstrip()}")
    return account


def in_words(account: Account) -> str:
    """Return one job's account as sentences."""
    many = "1 receipt" if account.receipts == 1 else f"{account.receipts} receipts"
    return (
        f"{account.node} signed {many} for {account.job}: {account.seconds} s without a gap,"
        f" {account.gpu_seconds} GPU-seconds at {account.price} EUR an hour. The hub's record agrees,"
        f" so it countersigned; each is in the log. {account.payer} owes {account.amount} EUR,"
        " which is what the receipts come to when they are added up again."
    )


def _awaited(books: Books, job: str) -> tuple[Path, str]:
    """Return a job's bundle and bill once its last receipt is kept, logged and billed."""
    found: list[tuple[Path, str]] = []

    def is_there() -> bool:
        file = books.receipts(job)
        bundle = {"receipts": []} if file is None else json.loads(file.read_text(encoding="utf-8"))
        if file is None or not is_complete(bundle):
            return False
        bill = books.bill(job)
        found[:] = [(file, bill)]
        return billed_rows(bill) >= timed(bundle)

    what = f"the last receipt of {job} in the books"
    wait_until(is_there, what=what, timeout_s=SETTLED_S, poll_s=1)
    return found[0]
