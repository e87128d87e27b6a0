"""Receipts in the order in which they were recorded: what is not logged yet is found without reading all."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the index."""
    op.create_index(
        "ix_evidence_recorded_ms_node_key_sequence",
        "evidence",
        ["recorded_ms", "node_key", "sequence"],
    )
