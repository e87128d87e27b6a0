"""A job's receipts as the ledger keeps them, each with its place in the log; nothing is written."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path

from hansa.api.meta import UID
from hansa.api.sovereignnode import ReceiptEnvelope
from hansa.cli.database import books_at
from hansa.cli.proofs import disputed, proof_of, prover_of
from hansa.errors import Terminal
from hansa.ledger.audits.book import VERDICT, AuditBook, audit
from hansa.ledger.audits.facts import Facts
from hansa.ledger.audits.verdicts import doubtful_runs
from hansa.ledger.receipts.evidence import Evidence
from hansa.receipts.bundle import MOST_RECEIPTS, Bundle, BundledReceipt
from hansa.receipts.envelope import digest, read_envelope
from hansa.translog.log.prover import Prover


def kept_bundle(
    job: str, database: str, log: Path | None, index: Path | None
) -> tuple[Bundle, list[str]]:
    """Return a bundle of what the ledger has of a job, ``NAMESPACE/NAME`` or a uid, and its doubtful runs.

    Keys are left out: who checks it brings those that they were told. ``log`` None: without proofs.
    Raises ``Terminal`` where there is no receipt of it, or no log, ``Retryable`` for one not logged yet.
    """
    prover = None if log is None else prover_of(log, index)
    with books_at(database) as engine:
        evidence = Evidence(engine)
        uids = [job] if re.fullmatch(UID, job) else evidence.uids(job)
        found = _receipts(evidence, uids, prover)
        receipts = tuple(islice(found, MOST_RECEIPTS + 1))
        book = AuditBook(engine)
        runs = doubtful_runs(book, Facts(engine), uids)
        verdicts = tuple(_verdicts(book, receipts))
    if not receipts:
        raise Terminal(f"the ledger has no receipt of {job}; write NAMESPACE/NAME or its uid")
    if len(receipts) > MOST_RECEIPTS:
        text = f"the ledger has more than {MOST_RECEIPTS} receipts of {job}, which no bundle holds"
        raise Terminal(f"{text}; where it is a name of many jobs, ask by uid")
    # A name may have been of many jobs.
    named = (
        (f"{epoch}" if len(uids) == 1 else f"{epoch} of {uid}" for epoch in epochs)
        for uid, epochs in runs.items()
    )
    return Bundle(receipts=receipts, verdicts=verdicts), list(chain.from_iterable(named))


def _verdicts(book: AuditBook, receipts: Iterable[BundledReceipt]) -> Iterator[ReceiptEnvelope]:
    """Yield the verdicts on receipts, as the hub signed them."""
    subjects = [audit(digest(one.envelope)) for one in receipts]
    for said in book.of_all(subjects).values():
        statement = read_envelope(said.get(VERDICT, {}).get("statement"))
        if statement is not None:
            yield statement


def _receipts(
    evidence: Evidence, uids: Sequence[str], prover: Prover | None
) -> Iterator[BundledReceipt]:
    for uid in uids:
        for name, envelope, disputes in evidence.of_job(uid):
            yield BundledReceipt(
                envelope=envelope,
                proof=None if prover is None else proof_of(prover, name),
                differences=disputed(disputes),
            )
