"""The compiled planner, run beside the event loop: while it plans, nobody else may touch it.

What others want of it meanwhile waits (``at_rest``), is taken from before (``snapshot``), or is done
first thing the next time (``reprice``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

from hansa.model.events import Event
from hansa.model.plan import Plan
from hansa.model.snapshot import ShadowPrices, Snapshot
from hansa.placement.backfill.calibration import Calibration
from hansa.placement.incremental import IncrementalPlanner
from hansa.placement.pricing.market import Market
from hansa.placement.pricing.shadow_prices import renewed
from hansa.placement.state.league import League
from hansa.process.long_lived import much_comes_to_stay

Beside = Callable[[Callable[[], Any]], Awaitable[Any]]
"""Runs a function beside the event loop; returns what it does."""
FEW = 10
"""Events of jobs that take some milliseconds at the most: those are taken in on the loop."""
NOTHING = Snapshot(0, (), (), ())


class KeptPlanner:
    """One planner at a time, and the prices that outlive it."""

    def __init__(self, beside: Beside) -> None:
        """Keep none yet."""
        self._beside = beside
        self.promises = Calibration()
        self._prices: ShadowPrices | None = None
        self._is_repriced = False
        self._shown = NOTHING
        self._is_compiled = False
        self.planner: IncrementalPlanner | None = None
        self.at_rest = asyncio.Event()
        """Set while nothing is planned."""
        self.at_rest.set()

    @property
    def league(self) -> League | None:
        """What it has compiled and booked; to be read while at rest."""
        return None if self.planner is None else self.planner.league

    @property
    def market(self) -> Market | None:
        """What the last full plan began with; None where it found its own prices."""
        return None if self.planner is None else self.planner.market

    def drop(self) -> None:
        """Keep none: what it knows may be outdated."""
        self.planner, self._shown = None, NOTHING

    def snapshot(self, base: Snapshot) -> Snapshot:
        """Return the league with what was decided, as it was when last at rest; without planner ``base``."""
        if self.at_rest.is_set():
            self._shown = base if self.planner is None else self.planner.snapshot()
        return self._shown

    def reprice(self, prices: ShadowPrices) -> None:
        """Plan by these prices, and those found last of what they do not name."""
        self._prices, self._is_repriced = renewed(self._prices, prices), True
        if self.at_rest.is_set():
            self._take_prices()

    def use_compiled(self) -> None:
        """Plan with the compiled kernel from the next plan on: it is loaded."""
        self._is_compiled = True

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Have everybody else wait for the length of a block."""
        self.at_rest.clear()
        try:
            with nullcontext() if self.planner else much_comes_to_stay():
                yield
        finally:
            self.at_rest.set()

    async def make(self, league: Snapshot) -> IncrementalPlanner:
        """Compile a planner; it is kept when the caller says so."""
        priced = replace(league, prices=self._prices)
        make = partial(IncrementalPlanner, priced, is_compiled=self._is_compiled)
        planner: IncrementalPlanner = await self._beside(make)
        planner.keep(self.promises)
        return planner

    async def replan(self, events: Sequence[Event], now_s: int) -> Plan:
        """Plan everything that waits; the caller has made sure that there is a planner."""
        self._take_prices()
        plan: Plan = await self._beside(
            partial(self._planner.replan, now_s, events, is_repriced=True)
        )
        return plan

    async def update(self, events: Sequence[Event], now_s: int) -> Plan:
        """Take in what happened; the same holds."""
        self._take_prices()
        update = partial(self._planner.update, events, now_s=now_s)
        is_quick = len(events) <= FEW and not self._planner.plans_anew(events)
        plan: Plan = update() if is_quick else await self._beside(update)
        return plan

    @property
    def _planner(self) -> IncrementalPlanner:
        if self.planner is None:
            raise RuntimeError("there is no planner")
        self.planner.is_compiled = self._is_compiled
        return self.planner

    def _take_prices(self) -> None:
        if self._is_repriced and self.planner is not None and self._prices is not None:
            self.planner.reprice(self._prices)
            self._is_repriced = False
