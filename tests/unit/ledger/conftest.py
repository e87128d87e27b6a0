"""Books on disk, anew for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.new_books import new_books


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = new_books(tmp_path)
    yield engine
    engine.dispose()
