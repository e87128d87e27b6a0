"""Puts the parts of verification together, where receipts are taken and logged."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from sqlalchemy import Engine

from hansa.ledger.audits.book import AuditBook
from hansa.ledger.audits.course import Course
from hansa.ledger.audits.duty import Audits, Parts
from hansa.ledger.audits.epochs import Epochs
from hansa.ledger.audits.facts import Facts
from hansa.ledger.audits.hardware import Hardware
from hansa.ledger.audits.hub_statuses import Emit, HubStatuses
from hansa.ledger.audits.levels import Levels
from hansa.ledger.audits.probes.probes import Probes
from hansa.ledger.audits.verdicts import Verdicts
from hansa.ledger.even_clock import EvenClock
from hansa.ledger.receipts.evidence import Evidence
from hansa.ledger.receipts.grant_notes import GrantNotes
from hansa.ledger.receipts.source import NodeReceipts
from hansa.ledger.settings import LedgerSettings
from hansa.ledger.source import ReceiptSource
from hansa.ports import Clock, Cluster


def open_audits(
    settings: LedgerSettings,
    cluster: Cluster,
    engine: Engine,
    source: ReceiptSource,
    clock: Clock,
    *,
    emit: Emit,
    draw: Callable[[int], bytes] = secrets.token_bytes,
) -> Audits | None:
    """Return the duty; None: no receipts are taken, or there is no log to draw by.

    ``emit``: takes events. ``draw``: returns so many random bytes that nobody can guess.
    """
    if not isinstance(source, NodeReceipts) or source.logbook is None:
        return None
    book, evidence = AuditBook(engine), Evidence(engine)
    facts = Facts(engine, settings.terms.currency)
    audits = settings.audits
    probes = Probes(cluster, book, facts, settings.probes, draw)
    parts = Parts(
        book=book,
        epochs=Epochs(
            book,
            facts,
            evidence,
            length_s=audits.epoch_seconds,
            reveal_s=audits.reveal_seconds,
        ),
        course=Course(cluster, book, facts, patience_s=audits.patience_seconds),
        verdicts=Verdicts(book, facts, source.signer),
        levels=Levels(book, facts, source.logbook, probes, Hardware(book, audits.device_roots)),
        probes=probes,
        statuses=HubStatuses(cluster, source.signer, emit),
        even=EvenClock(clock, settings.intake.clock_skew_seconds),
    )
    source.hub.keep_notes(GrantNotes())
    return Audits(cluster, parts, source, evidence, clock)
