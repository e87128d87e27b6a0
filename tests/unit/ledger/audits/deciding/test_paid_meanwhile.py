"""Nothing that is just being drawn or judged is paid beside it: on SQLite here, on PostgreSQL in ``programs``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from tests.unit.ledger.audits.deciding.payers import MEANWHILE, what_a_cheat_is_paid


@pytest.mark.parametrize("what", MEANWHILE, ids=[one.__name__ for one in MEANWHILE])
async def test_nothing_is_paid_beside_a_decision(engine: Engine, tmp_path: Path, what: Any):
    assert await what_a_cheat_is_paid(engine, tmp_path, what) == {}
