"""What is wrong with sites and pools themselves, told with every plan; work goes on around it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hansa.model.plan import Notice
from hansa.model.reasons import Reason
from hansa.placement.rules.fleet import SITE_KIND
from hansa.placement.rules.quota_tree import POOL_KIND
from hansa.placement.state.league import League


def notices(league: League) -> tuple[Notice, ...]:
    """Everything that somebody has to mend, or that only time mends."""
    found = (*league.fleet.notices, *league.ledger.notices, *league.caps.notices)
    return (*found, *_lawless(league), *_overfull(league))


def _lawless(league: League) -> Iterator[Notice]:
    """Pools whose own places nobody can interpret."""
    for name, pool in sorted(league.pools.items()):
        fault = league.rules.ceiling_fault(pool)
        if fault is not None:
            words = f"{fault.message}; correct the ceiling, until then it places nothing"
            yield Notice(POOL_KIND, name, Reason.MISCONFIGURED, words, is_total=True)
        for message in league.rules.overlay_faults(pool):
            words = f"{message}; correct the overlay, until then no rule that uses it is met"
            yield Notice(POOL_KIND, name, Reason.MISCONFIGURED, words)


def _overfull(league: League) -> Iterator[Notice]:
    """Sites that run more than they have: machines went, or are lent no more."""
    short: dict[str, int] = dict.fromkeys(league.oversubscribed.missing, 0)
    for cell in np.flatnonzero(league.supply.cell_free < 0).tolist():
        name = league.fleet.sites[league.fleet.cells[cell].site].name
        short[name] = short.get(name, 0) - int(league.supply.cell_free[cell])
    for name, gpus in sorted(short.items()):
        is_total = not _has_room(league, name)
        what = "nothing new starts there" if is_total else "new work gets only what is left"
        words = (
            f"work there holds more than the node has ({gpus} GPUs, {league.oversubscribed.missing.get(name, 0)}"
            f" pods too many); {what} until some of it ends, or the node lends as much again"
        )
        yield Notice(SITE_KIND, name, Reason.EXCEEDS_NODE_SHAPE, words, is_total)


def _has_room(league: League, name: str) -> bool:
    """Whether some pod, however small, would still find room at a site."""
    fleet, supply = league.fleet, league.supply
    cell = fleet.cells_of_site[fleet.site_index[name]].start
    machines = slice(fleet.site_lo[cell], fleet.site_hi[cell])
    left = (supply.machine_cpu[machines] > 0) & (supply.machine_memory[machines] > 0)
    return bool(left.any())
