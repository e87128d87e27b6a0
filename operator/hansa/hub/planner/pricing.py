"""Finds shadow prices beside the planning loop: one solve at a time, for a bounded share of a core.

Plans never wait for it. What it finds may be minutes old when it comes: prices only order, and the
names that a league no longer has do nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import NoReturn

from hansa.errors import HansaError
from hansa.hub.planner.loop import PlanningLoop
from hansa.model.snapshot import ShadowPrices
from hansa.observability import metrics as m
from hansa.observability.instruments import Instruments
from hansa.placement.pricing.market import Market
from hansa.ports import Clock

log = logging.getLogger(__name__)

EVERY_S = 10.0
SHARE = 0.1
"""Solves: the least time between the starts of two, and the most of a core that they may take."""
LONGEST_S = 600.0
"""A solve that takes longer is given up: the next one sees another queue anyway."""

Solver = Callable[[Market], Awaitable[ShadowPrices]]
"""Raises ``HansaError`` where it fails; cancelled, it stops working."""


class Pricing:
    """When prices are found anew, and what became of that."""

    def __init__(
        self,
        plans: PlanningLoop,
        solve: Solver,
        *,
        clock: Clock,
        instruments: Instruments,
        longest_s: float = LONGEST_S,
    ) -> None:
        """Nothing is solved before ``step``."""
        self.plans = plans
        """Whom it finds prices for."""
        self._solve = solve
        self._clock = clock
        self._instruments = instruments
        self._longest_s = longest_s
        self._from_s = float("-inf")
        self._market: Market | None = None
        """What the prices in use were found from."""
        self._fitting_s: float | None = None

    @property
    def age_s(self) -> float | None:
        """Seconds since the prices in use last fitted the league; None where plans find their own."""
        return None if self._fitting_s is None else self._clock.monotonic() - self._fitting_s

    async def run(self) -> NoReturn:
        """Look again and again whether prices are to be found, until cancelled."""
        while True:
            await asyncio.sleep(max(EVERY_S, self._from_s - self._clock.monotonic()))
            await self.step()

    async def step(self) -> None:
        """Find prices anew if the share allows it and anything has changed, and use them."""
        started_s = self._clock.monotonic()
        if started_s < self._from_s:
            return
        market = self.plans.market
        if market is None:
            self._market = self._fitting_s = None
        elif market.is_sold_out or (self._market is not None and market.equals(self._market)):
            self._fitting_s = started_s
        else:
            outcome = await self._try(market, started_s)
            took_s = self._clock.monotonic() - started_s
            self._from_s = started_s + max(EVERY_S, took_s / SHARE)
            self._instruments.observe(m.PRICES_DURATION, took_s)
            self._instruments.add(m.PRICES, outcome=outcome)

    async def _try(self, market: Market, started_s: float) -> str:
        """Solve and use what comes; return what became of it."""
        try:
            async with asyncio.timeout(self._longest_s):
                prices = await self._solve(market)
        except (HansaError, TimeoutError) as error:
            log.warning("no new shadow prices", extra={"error": str(error) or "took too long"})
            return "failed"
        if not self.plans.reprice(prices):
            return "dropped"
        self._market, self._fitting_s = market, started_s
        return "used"
