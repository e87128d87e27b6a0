"""Where room is held for a gang that fits nowhere yet."""

from __future__ import annotations

import numpy as np
import pytest

from hansa.placement.backfill import reservations
from hansa.placement.state.league import League
from tests.unit.placement.leagues.small_leagues import held, job, league, site

PROMISED = {"no promises": ((), "a"), "the first site's room": (("a",), "b")}


@pytest.mark.parametrize("case", PROMISED)
def test_a_gang_waits_for_room_that_is_not_being_made_for_another(case):
    """``a`` is free first; where others gave it up for somebody, the gang would wait there in vain."""
    promised, expected = PROMISED[case]
    runs = (held("x", "a", gpus=4), held("y", "b", gpus=4, max_runtime_s=20_000))
    books = League(league(*runs, job("gang"), sites=(site("a"), site("b"))))
    cells = books.fleet.cells
    names = [books.fleet.sites[cell.site].name for cell in cells]
    taken = [cell for cell, name in enumerate(names) if name in promised]

    found = reservations.for_gangs(books, np.flatnonzero(books.columns.waits), taken)

    assert {names[cell] for cell in np.flatnonzero(found.until)} == {expected}
