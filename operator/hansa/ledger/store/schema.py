"""The tables as they are now. How they came about is in ``migrations``; a test holds both together.

Nothing in them is ever changed or deleted: triggers refuse it in both databases. What happened to a
claim is one ``entry`` a phase, whose primary key lets each phase happen once; the movements of money
that follow from it are ``posting`` rows of the same transaction.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    cast,
)
from sqlalchemy.sql import ColumnElement

LONGEST_EPOCH = "9" * 20
"""No number of a run sorts behind it, in any collation."""

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

RECEIPT = Table(
    "receipt",
    METADATA,
    Column("receipt_digest", Text, primary_key=True),
    Column("fingerprint", Text, nullable=False),
    Column("node", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("institution", Text, nullable=False),
    Column("project", Text, nullable=False),
    Column("job_uid", Text, nullable=False),
    Column("job", Text, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("began_ms", BigInteger, nullable=False),
    Column("start_ms", BigInteger, nullable=False),
    Column("end_ms", BigInteger, nullable=False),
    Column("gpu_class", Text, nullable=False),
    Column("gpus", BigInteger, nullable=False),
    Column("gpu_ms", BigInteger, nullable=False),
    Column("cpu_ms", BigInteger, nullable=False),
    Column("energy_j", BigInteger),
    Column("unit_price", BigInteger, nullable=False),
    Column("tariff_version", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("data_sets", Text, nullable=False),
    Column("jurisdiction", Text, nullable=False),
    Column("recorded_ms", BigInteger, nullable=False),
    Index(None, "job_uid"),
    Index(None, "institution", "end_ms"),
    Index(None, "provider", "end_ms"),
)
"""What was metered, as the receipt says; ``data_sets`` is a JSON list."""

ENTRY = Table(
    "entry",
    METADATA,
    Column("subject", Text),
    Column("phase", Text),
    Column("event", Text, nullable=False),
    Column("debtor", Text, nullable=False),
    Column("creditor", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("held", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("refers_to", Text, ForeignKey("receipt.receipt_digest")),
    Column("recorded_ms", BigInteger, nullable=False),
    Column("note", Text, nullable=False),
    PrimaryKeyConstraint("subject", "phase"),
    CheckConstraint("held >= 0 AND held <= amount", name="portions"),
    Index(None, "event", "recorded_ms"),
    Index(None, "refers_to"),
)
"""What happened to a claim; amounts in micros."""

POSTING = Table(
    "posting",
    METADATA,
    Column("subject", Text),
    Column("phase", Text),
    Column("leg", Integer),
    Column("debtor", Text, nullable=False),
    Column("creditor", Text, nullable=False),
    Column("debit_institution", Text, nullable=False),
    Column("debit_account", Text, nullable=False),
    Column("credit_institution", Text, nullable=False),
    Column("credit_account", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    PrimaryKeyConstraint("subject", "phase", "leg"),
    ForeignKeyConstraint(["subject", "phase"], ["entry.subject", "entry.phase"]),
    CheckConstraint("amount > 0", name="something"),
)
"""The movements of money of an entry."""

DIFFERENCE = Table(
    "difference",
    METADATA,
    Column("receipt_digest", Text),
    Column("fault", Text),
    Column("field", Text),
    Column("node", Text, nullable=False),
    Column("institution", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("recorded_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("receipt_digest", "fault", "field"),
)
"""Uses that were not posted, as they came (``body``, JSON), and why."""

EXPLANATION = Table(
    "explanation",
    METADATA,
    Column("receipt_digest", Text, primary_key=True),
    Column("note", Text, nullable=False),
    Column("recorded_ms", BigInteger, nullable=False),
)
"""What a person found out about a difference."""

CLEARING = Table(
    "clearing",
    METADATA,
    Column("period", Text),
    Column("currency", Text),
    Column("digest", Text, nullable=False),
    Column("document", LargeBinary, nullable=False),
    Column("recorded_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("period", "currency"),
)
"""One clearing a period and currency, as the members countersign it."""

GRANT = Table(
    "granted",
    METADATA,
    Column("run", Text),
    Column("node_key", Text),
    Column("body", Text, nullable=False),
    Column("recorded_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("run", "node_key"),
)
"""What the ledger saw the hub grant (``body``, JSON), as ``receipts.grants`` writes it."""

EVIDENCE = Table(
    "evidence",
    METADATA,
    Column("node_key", Text),
    Column("sequence", BigInteger),
    Column("digest", Text, nullable=False),
    Column("node", Text, nullable=False),
    Column("run", Text, nullable=False),
    Column("part", BigInteger, nullable=False),
    Column("start_s", BigInteger, nullable=False),
    Column("end_s", BigInteger, nullable=False),
    Column("problem", Text, nullable=False),
    Column("envelope", Text, nullable=False),
    Column("recorded_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("node_key", "sequence"),
    Index(None, "digest"),
    Index(None, "run", "part"),
    Index(None, "node_key", "end_s"),
    Index(None, "recorded_ms", "node_key", "sequence"),
)
"""Receipts in their envelopes, as they stand in the chains of their nodes; ``problem``: why one is
disputed, empty where nothing speaks against it."""

LOG_FILES = Table(
    "log_files",
    METADATA,
    Column("origin", Text, primary_key=True),
    Column("identity", Text, nullable=False),
    Column("recorded_ms", BigInteger, nullable=False),
)
"""Which files are the transparency log of these books: there is one copy of a log, for ever."""

AUDIT = Table(
    "audit",
    METADATA,
    Column("subject", Text),
    Column("phase", Text),
    Column("body", Text, nullable=False),
    Column("recorded_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("subject", "phase"),
    Index(None, "phase"),
)
"""What was said and done in verification, as ``audits.book`` writes it (``body``, JSON): each phase of
a subject once."""


RUN_OF_RECEIPT: ColumnElement[str] = RECEIPT.c.job_uid + "." + cast(RECEIPT.c.epoch, Text)
"""Name of a receipt's run, as evidence and words about it have it."""
OF_RUN, OF_NODE = "run/", "node/"
"""What subjects of words about runs and nodes begin with; a name follows."""
DECIDED = "Decided"
"""Phase of a run: it was drawn, and no audit of it is open. What is pending for it may become due."""
REOPENED, JUDGED = "Reopened", "Judged"
"""What phases of a run begin with: it is audited though it was decided before; that audit has a verdict. Which one
follows (``audit_phase``): a run may be audited more than once. Of older books nothing follows."""
CONDEMNED = "Condemned"
"""Phase of a run: nothing of it is paid, also what is booked later."""


def audit_phase(phase: str, receipt: str) -> str:
    """Return the phase of a run that is about one audit of it, by the digest of the receipt that it is about."""
    return f"{phase}/{receipt}"


def is_of_job(run: ColumnElement[str], job_uid: str) -> ColumnElement[bool]:
    """Return the condition that a run, UID.EPOCH, is of a job; an index over runs serves it, which it does no LIKE."""
    return run.between(f"{job_uid}.0", f"{job_uid}.{LONGEST_EPOCH}")
