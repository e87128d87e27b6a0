"""The books: receipts, entries, postings, differences and clearings, none of which ever changes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_TEXTS = (
    ("fingerprint", "node", "provider", "institution", "project", "job_uid", "job"),
    ("gpu_class", "tariff_version", "currency", "data_sets", "jurisdiction"),
)
_NUMBERS = (
    ("epoch", "began_ms", "start_ms", "end_ms"),
    ("gpus", "gpu_ms", "cpu_ms", "unit_price", "recorded_ms"),
)
APPEND_ONLY = ("receipt", "entry", "posting", "difference", "explanation", "clearing")


def upgrade() -> None:
    """Make the tables and the triggers that keep them as they are."""
    _make_receipt()
    _make_entry()
    _make_posting()
    _make_difference()
    _make_clearing()
    protect(APPEND_ONLY)


def protect(tables: Iterable[str]) -> None:
    """Refuse changes and deletions in ``tables``, whoever asks."""
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    for table in tables:
        (_protect_postgresql if is_postgresql else _protect_sqlite)(table)


def _make_receipt() -> None:
    op.create_table(
        "receipt",
        sa.Column("receipt_digest", sa.Text),
        *needed(_TEXTS[0]),
        *needed(_NUMBERS[0], sa.BigInteger()),
        *needed(_TEXTS[1]),
        *needed(_NUMBERS[1], sa.BigInteger()),
        sa.Column("energy_j", sa.BigInteger),
        sa.PrimaryKeyConstraint("receipt_digest", name="pk_receipt"),
    )
    op.create_index("ix_receipt_job_uid", "receipt", ["job_uid"])
    op.create_index("ix_receipt_institution_end_ms", "receipt", ["institution", "end_ms"])
    op.create_index("ix_receipt_provider_end_ms", "receipt", ["provider", "end_ms"])


def _make_entry() -> None:
    op.create_table(
        "entry",
        *needed(("subject", "phase", "event", "debtor", "creditor", "currency", "note")),
        *needed(("amount", "held", "recorded_ms"), sa.BigInteger()),
        sa.Column("refers_to", sa.Text),
        sa.PrimaryKeyConstraint("subject", "phase", name="pk_entry"),
        sa.ForeignKeyConstraint(["refers_to"], ["receipt.receipt_digest"], "fk_entry_refers_to"),
        sa.CheckConstraint("held >= 0 AND held <= amount", name="ck_entry_portions"),
    )
    op.create_index("ix_entry_event_recorded_ms", "entry", ["event", "recorded_ms"])
    op.create_index("ix_entry_refers_to", "entry", ["refers_to"])


def _make_posting() -> None:
    sides = ("debit_institution", "debit_account", "credit_institution", "credit_account")
    op.create_table(
        "posting",
        *needed(("subject", "phase", "debtor", "creditor", *sides, "currency")),
        sa.Column("leg", sa.Integer, nullable=False),
        *needed(("amount",), sa.BigInteger()),
        sa.PrimaryKeyConstraint("subject", "phase", "leg", name="pk_posting"),
        sa.ForeignKeyConstraint(
            ["subject", "phase"], ["entry.subject", "entry.phase"], "fk_posting_subject_phase"
        ),
        sa.CheckConstraint("amount > 0", name="ck_posting_something"),
    )


def _make_difference() -> None:
    names = ("receipt_digest", "fault", "field", "node", "institution", "message", "body")
    op.create_table(
        "difference",
        *needed(names),
        *needed(("recorded_ms",), sa.BigInteger()),
        sa.PrimaryKeyConstraint("receipt_digest", "fault", "field", name="pk_difference"),
    )
    op.create_table(
        "explanation",
        *needed(("receipt_digest", "note")),
        *needed(("recorded_ms",), sa.BigInteger()),
        sa.PrimaryKeyConstraint("receipt_digest", name="pk_explanation"),
    )


def _make_clearing() -> None:
    op.create_table(
        "clearing",
        *needed(("period", "currency", "digest")),
        sa.Column("document", sa.LargeBinary, nullable=False),
        *needed(("recorded_ms",), sa.BigInteger()),
        sa.PrimaryKeyConstraint("period", "currency", name="pk_clearing"),
    )


def needed(
    names: tuple[str, ...], kind: sa.types.TypeEngine[Any] | None = None
) -> list[sa.Column[Any]]:
    """Return columns without null, texts unless told otherwise."""
    return [sa.Column(name, kind or sa.Text(), nullable=False) for name in names]


def _protect_sqlite(table: str) -> None:
    for verb in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} BEGIN"
            f" SELECT RAISE(ABORT, 'the books are only added to'); END"
        )


def _protect_postgresql(table: str) -> None:
    op.execute(
        "CREATE OR REPLACE FUNCTION only_added_to() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'the books are only added to'; END $$"
    )
    op.execute(
        f"CREATE TRIGGER {table}_only_added_to BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
        " FOR EACH STATEMENT EXECUTE FUNCTION only_added_to()"
    )
