"""Receipts in their envelopes, and the grants they are held against."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from hansa.ledger.store.migrations.versions.r0001_books import needed, protect

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make both tables, which are only added to."""
    op.create_table(
        "granted",
        *needed(("run", "node_key", "body")),
        *needed(("recorded_ms",), sa.BigInteger()),
        sa.PrimaryKeyConstraint("run", "node_key", name="pk_granted"),
    )
    op.create_table(
        "evidence",
        *needed(("node_key", "digest", "node", "run", "problem", "envelope")),
        *needed(("sequence", "part", "start_s", "end_s", "recorded_ms"), sa.BigInteger()),
        sa.PrimaryKeyConstraint("node_key", "sequence", name="pk_evidence"),
    )
    op.create_index("ix_evidence_digest", "evidence", ["digest"])
    op.create_index("ix_evidence_run_part", "evidence", ["run", "part"])
    op.create_index("ix_evidence_node_key_end_s", "evidence", ["node_key", "end_s"])
    protect(("granted", "evidence"))
