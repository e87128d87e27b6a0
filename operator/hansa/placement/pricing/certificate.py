"""The proof carried with a plan: no plan whatever is worth more than the bound.

Weak duality: with any prices λ ≥ 0 for cells and μ ≥ 0 for caps, however stale, the optimum is at
most Σ C·λ + Σ K·μ + Σ_i best_i. Here best_i is the most that institution i could earn if it could
buy room at these prices anywhere its gangs fit now: jobs by surplus v − min(c + λ + μ), each GPU
inside the nominal share worth ``NOMINAL_GPU`` more, up to its quota, and gangs divisible.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hansa.placement.rules import entitlement
from hansa.placement.rules.cell_order import Floats
from hansa.placement.rules.fleet import Ints
from hansa.placement.rules.value import NOMINAL_GPU, gpu_value
from hansa.placement.state.queue_columns import run_starts

if TYPE_CHECKING:
    from hansa.placement.state.league import League

ROUNDING = 1e-9
"""Sums of many floats may end a hair below the true sum; the promise is "never below"."""


@dataclass(frozen=True, slots=True)
class Opening:
    """What a plan starts from: the room that is there to be given out."""

    free: Ints
    """Per cell: GPUs; 0 where closed or without GPUs."""
    is_open: Ints
    cap_left: Ints
    quota_left: Ints
    """Per account: GPUs an institution may still take."""
    nominal_left: Ints
    """Per account: GPUs up to its nominal share."""


def opening(league: League) -> Opening:
    """Read the room before a plan is made."""
    accounts, supply = league.ledger.accounts, league.supply
    free = np.where(league.fleet.has_gpus & (supply.cell_open == 1), supply.cell_free, 0)
    return Opening(
        free=np.maximum(free, 0),
        is_open=supply.cell_open.copy(),
        cap_left=np.maximum(league.caps.counters.left, 0),
        quota_left=np.maximum(league.ledger.ceiling - accounts.gpus, 0),
        nominal_left=entitlement.nominal_left(accounts),
    )


def bound(league: League, room: Opening, rows: Ints) -> float:
    """The most that any plan for the waiting ``rows`` could be worth."""
    tariff = league.tariff
    total = float((room.free * tariff.scarcity).sum() + (room.cap_left * tariff.cap_prices).sum())
    if len(rows):
        columns = league.columns
        cost = _least_costs(league, room, rows)
        surplus = gpu_value(0) + columns.priority[rows] - cost
        total += _best(surplus, columns.leaf[rows], columns.gpus[rows], room)
        plain = columns.gpus[rows] == 0
        total += float((np.maximum(0.0, surplus) * columns.units[rows])[plain].sum())
    return total * (1 + ROUNDING) + ROUNDING


def _least_costs(league: League, room: Opening, rows: Ints) -> Floats:
    """Per row, least cost of a unit where its gang fits now; inf where it fits nowhere."""
    kinds, lists = league.kinds, league.tariff.lists()
    need = np.repeat(kinds.mask_gpus, lists.hi - lists.lo)
    fits = (room.is_open[lists.cells] == 1) & (room.free[lists.cells] >= need)
    least = np.full(len(kinds.masks), np.inf)
    some = np.flatnonzero(lists.hi > lists.lo)
    if len(some):
        least[some] = np.minimum.reduceat(np.where(fits, lists.cost, np.inf), lists.lo[some])
    return np.asarray(least[kinds.mask[league.columns.kind[rows]]])


def _best(surplus: Floats, leaf: Ints, gpus: Ints, room: Opening) -> float:
    """Sum over institutions of a fractional knapsack with two slopes, all at once."""
    order = np.lexsort((-surplus, leaf))
    surplus, leaf, gpus = surplus[order], leaf[order], gpus[order]
    starts = run_starts(leaf)
    before = np.cumsum(gpus) - gpus
    before -= np.repeat(before[starts], np.diff(starts, append=len(leaf)))
    upto = np.minimum(before + gpus, room.quota_left[leaf])
    nominal = np.clip(np.minimum(room.nominal_left[leaf], upto) - before, 0, gpus)
    beyond = np.maximum(upto - before, 0) - nominal
    finite = np.where(np.isfinite(surplus), surplus, -2.0 * NOMINAL_GPU)
    earned = nominal * np.maximum(0.0, finite + NOMINAL_GPU) + beyond * np.maximum(0.0, finite)
    return float(earned.sum())


def value_of(league: League, placed: Ints, room: Opening) -> float:
    """Worth of gangs given as rows of (row, cell, GPUs): see ``value``."""
    if not len(placed):
        return 0.0
    row, cell, gpus = placed.T
    columns = league.columns
    weight = np.maximum(1, gpus)
    worth = weight * (gpu_value(0) + columns.priority[row] - league.tariff.money[cell])
    gained = np.bincount(columns.leaf[row], gpus, minlength=len(room.nominal_left))
    return float(worth.sum() + NOMINAL_GPU * np.minimum(gained, room.nominal_left).sum())
