"""The course of audits."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from hansa.ledger.store.migrations.versions.r0001_books import needed, protect

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the table, which is only added to."""
    op.create_table(
        "audit",
        *needed(("subject", "phase", "body")),
        *needed(("recorded_ms",), sa.BigInteger()),
        sa.PrimaryKeyConstraint("subject", "phase", name="pk_audit"),
    )
    op.create_index("ix_audit_phase", "audit", ["phase"])
    protect(("audit",))
