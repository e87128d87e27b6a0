"""Which files are the transparency log of these books: a second copy would be another log of the same name."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from hansa.ledger.store.migrations.versions.r0001_books import needed, protect

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Make the table, which is only added to."""
    op.create_table(
        "log_files",
        *needed(("origin", "identity")),
        *needed(("recorded_ms",), sa.BigInteger()),
        sa.PrimaryKeyConstraint("origin", name="pk_log_files"),
    )
    protect(("log_files",))
