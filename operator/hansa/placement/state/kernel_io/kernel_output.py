"""From the kernel's numbers to what starts: jobs, sites and prices by name, machines as logs."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from hansa.model.plan import Placement
from hansa.placement.kernel.tables import Decided
from hansa.placement.rules.fleet import Ints
from hansa.placement.state.decision import Start
from hansa.placement.state.league import League


def starts_of(league: League, decided: Decided, rows: Ints) -> tuple[Start, ...]:
    """What starts, with the machines it got; what elastic gangs got on top comes last in a log.

    ``rows``: the waiting rows of what was placed.
    """
    placed = decided.placed
    if not len(rows):  # so it is after most events
        return ()
    log, ends = decided.log.tolist(), placed.end.tolist()
    logs = [log[begin:end] for begin, end in pairwise((0, *ends))]
    for gang, machine, workers in decided.growth.reshape(-1, 3).tolist():
        logs[gang] += (machine, workers)
    fleet, cells = league.fleet, [league.fleet.cells[number] for number in placed.cell.tolist()]
    columns = (
        (league.columns.uids[row] for row in rows.tolist()),
        (fleet.sites[cell.site].name for cell in cells),
        placed.workers.tolist(),
        _costs(league, decided, rows),
        (cell.gpu_class for cell in cells),
    )
    placements = map(Placement._make, zip(*columns, strict=True))
    return tuple(map(Start._make, zip(placements, placed.cell.tolist(), logs, strict=True)))


def gpus_of(league: League, decided: Decided, rows: Ints) -> Ints:
    """GPUs that each gang got. ``rows``: as above."""
    return decided.placed.workers * league.kinds.column("gpus")[league.columns.kind[rows]]


def _costs(league: League, decided: Decided, rows: Ints) -> list[int]:
    """Millionths of the currency for an hour of each gang; prices may be beyond a column's size."""
    cells, workers, kinds = decided.placed.cell, decided.placed.workers, league.columns.kind[rows]
    names = "gpus", "cpu", "heads", "head_cpu"
    gpus, cpu, heads, head_cpu = (league.kinds.column(name)[kinds] for name in names)
    asked = np.where(gpus > 0, workers * gpus, workers * cpu + heads * head_cpu).tolist()
    prices, per = league.fleet.price[cells].tolist(), np.where(gpus > 0, 1, 1000).tolist()
    return [price * units // of for price, units, of in zip(prices, asked, per, strict=True)]
