"""From the kernel's numbers to what starts: jobs, sites and prices by name, machines as logs."""

from __future__ import annotations

import numpy as np

from hansa.model.plan import Placement
from hansa.placement.kernel.tables import Decided
from hansa.placement.rules.fleet import Ints
from hansa.placement.state.decision import Start
from hansa.placement.state.league import League


def placed_parts(decided: Decided, rows: Ints, numbers: Ints | None = None) -> Ints:
    """Rows of (row, job class, cell, workers, end of its log), in the order of decision.

    ``rows`` and ``numbers``: the kernel's numbers of jobs and job classes stand for these.
    """
    placed = decided.parts.reshape(-1, 5).copy()
    placed[:, 0] = rows[placed[:, 0]]
    if numbers is not None:
        placed[:, 1] = numbers[placed[:, 1]]
    return placed


def starts_of(league: League, placed: Ints, decided: Decided) -> tuple[Start, ...]:
    """What starts, with the machines it got; what elastic gangs got on top comes last in a log."""
    logs = [log.tolist() for log in np.split(decided.log, placed[:, 4])[: len(placed)]]
    for part, machine, workers in decided.growth.reshape(-1, 3).tolist():
        logs[part] += (machine, workers)
    _, numbers, cells, _, _ = placed.T.tolist()
    columns = (_placements(league, placed), numbers, cells, logs)
    return tuple(map(Start._make, zip(*columns, strict=True)))


def _placements(league: League, placed: Ints) -> list[Placement]:
    fleet = league.fleet
    rows, _, numbers, workers, _ = placed.T
    cells = [fleet.cells[number] for number in numbers.tolist()]
    columns = (
        (league.columns.uids[row] for row in rows.tolist()),
        (fleet.sites[cell.site].name for cell in cells),
        workers.tolist(),
        _costs(league, placed),
        (cell.gpu_class for cell in cells),
    )
    return [*map(Placement._make, zip(*columns, strict=True))]


def _costs(league: League, placed: Ints) -> list[int]:
    """Millionths of the currency for an hour of each part; prices may be beyond a column's size."""
    _, numbers, cells, workers, _ = placed.T
    gpus, cpu, head = (league.kinds.column(name)[numbers] for name in ("gpus", "cpu", "head_cpu"))
    asked = np.where(gpus > 0, workers * gpus, workers * cpu + head).tolist()
    prices, per = league.fleet.price[cells].tolist(), np.where(gpus > 0, 1, 1000).tolist()
    return [price * units // of for price, units, of in zip(prices, asked, per, strict=True)]
