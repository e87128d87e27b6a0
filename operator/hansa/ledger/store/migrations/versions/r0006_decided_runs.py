"""What was pending when runs had not to be decided yet becomes due as it was to, also where nobody draws its run any more."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Say of each run in the books that it is decided."""
    op.execute(
        "INSERT INTO audit (subject, phase, body, recorded_ms) SELECT DISTINCT"
        " 'run/' || job_uid || '.' || CAST(epoch AS TEXT), 'Decided', '{}', 0 FROM receipt WHERE true"
        " ON CONFLICT DO NOTHING"
    )
