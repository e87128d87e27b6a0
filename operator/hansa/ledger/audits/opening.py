"""Puts the parts of verification together, where receipts are taken and logged."""

from __future__ import annotations

from sqlalchemy import Engine

from hansa.ledger.audits.book import AuditBook
from hansa.ledger.audits.course import Course
from hansa.ledger.audits.duty import Audits, Parts
from hansa.ledger.audits.epochs import Epochs
from hansa.ledger.audits.facts import Facts
from hansa.ledger.audits.levels import Levels
from hansa.ledger.audits.telling import Emit, Telling
from hansa.ledger.audits.verdicts import Verdicts
from hansa.ledger.receipts.evidence import Evidence
from hansa.ledger.receipts.grant_notes import GrantNotes
from hansa.ledger.receipts.source import NodeReceipts
from hansa.ledger.settings import Audits as Settings
from hansa.ledger.source import ReceiptSource
from hansa.ledger.store.writer import LedgerWriter
from hansa.ports import Clock, Cluster


def open_audits(
    settings: Settings,
    cluster: Cluster,
    engine: Engine,
    source: ReceiptSource,
    clock: Clock,
    *,
    emit: Emit,
) -> Audits | None:
    """Return the duty; None: no receipts are taken, or there is no log to draw by.

    ``emit``: takes events.
    """
    if not isinstance(source, NodeReceipts) or source.logbook is None:
        return None
    book, facts, evidence = AuditBook(engine), Facts(engine), Evidence(engine)
    parts = Parts(
        book=book,
        epochs=Epochs(
            book,
            facts,
            evidence,
            length_s=settings.epoch_seconds,
            reveal_s=settings.reveal_seconds,
        ),
        course=Course(cluster, book, facts, patience_s=settings.patience_seconds),
        verdicts=Verdicts(book, facts, LedgerWriter(engine), source.signer),
        levels=Levels(book, facts, source.logbook),
        telling=Telling(cluster, source.signer, emit),
    )
    source.hub.keep_notes(GrantNotes())
    return Audits(cluster, parts, source, evidence, clock)
