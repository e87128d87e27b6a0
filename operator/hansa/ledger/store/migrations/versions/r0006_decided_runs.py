"""What was pending when runs had not to be decided yet becomes due as it was to, also where nobody draws its run any more."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

OPEN = sa.text(
    "SELECT body FROM audit WHERE phase = 'Due' AND NOT EXISTS (SELECT 1 FROM audit AS later"
    " WHERE later.subject = audit.subject AND later.phase = 'Done')"
)
DECIDE = (
    "INSERT INTO audit (subject, phase, body, recorded_ms) SELECT 'run/' || run, 'Decided', '{}', 0 FROM"
    " (SELECT job_uid || '.' || CAST(epoch AS TEXT) AS run FROM receipt UNION SELECT run FROM evidence) AS known"
    " WHERE run NOT IN :audited ON CONFLICT DO NOTHING"
)


def upgrade() -> None:
    """Say of each run in the books that it is decided; those that are being audited are with their verdicts."""
    connection = op.get_bind()
    if connection.dialect.name == "postgresql":
        # Books of years take longer than any statement of a running ledger may.
        op.execute("SET LOCAL statement_timeout = 0")
    audited = [json.loads(body)["run"] for body in connection.execute(OPEN).scalars()]
    decide = sa.text(DECIDE).bindparams(
        sa.bindparam("audited", audited, type_=sa.Text(), expanding=True)
    )
    connection.execute(decide)
