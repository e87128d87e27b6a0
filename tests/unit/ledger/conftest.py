"""Books on disk, anew for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from hansa.ledger.store.engine import migrate, open_engine


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_engine(f"sqlite:///{tmp_path}/books.db")
    migrate(engine)
    yield engine
    engine.dispose()
