"""Runs the migrations over the connection that the ledger hands in; there is no alembic.ini."""

from __future__ import annotations

from alembic import context

from hansa.ledger.store.schema import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA)
with context.begin_transaction():
    context.run_migrations()
