"""A hub's candidacy: it leads while it holds all its Leases and no other hub leads one of its pools.

The rules are in ``reconcile/hub/leaders``; here they are carried out, round by round.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import replace

from hansa.adapters.kube.lease import Candidate, HolderWatch, LeaseElection, LeaseTimes
from hansa.errors import HansaError, NotFound, Terminal
from hansa.hub.settings import Leadership
from hansa.ports import Clock, Cluster
from hansa.reconcile.hub.leaders.claims import (
    annotations_of,
    claim_name,
    claims_of,
    given_back_of,
    left_by_holder,
)
from hansa.reconcile.hub.leaders.division import Division

log = logging.getLogger(__name__)
pause = asyncio.sleep
"""A name of its own, for tests with a clock of theirs."""
AGAIN_S = 2.0
"""Between tries to read which pools are claimed."""


class DivisionChanged(Terminal):
    """Other pools are claimed than when this process began: it has to begin anew."""


async def find_division(cluster: Cluster, settings: Leadership, candidate: Candidate) -> Division:
    """Return how the pools are divided now; asks until it is answered."""
    if settings.pools:
        return Division(own=frozenset(settings.pools))
    waited_for = frozenset[str]()
    while True:
        try:
            leases = (await cluster.list(candidate.leases)).items
        except HansaError as error:
            log.warning("cannot read which pools others lead", extra={"error": str(error)})
            await pause(AGAIN_S)
            continue
        claims = claims_of(leases, settings.lease)
        given_back = given_back_of(leases, settings.lease)
        if given_back <= waited_for:
            return Division(claims=claims)
        # A leader whose Lease was deleted under it leads until it next looks; it claims them anew then.
        log.info("waits for the last leader of %s", _listed(given_back))
        waited_for = given_back
        await pause(settings.duration_seconds)


class HubElection:
    """One replica's candidacy for all that its hub leads."""

    def __init__(
        self,
        cluster: Cluster,
        settings: Leadership,
        division: Division,
        *,
        candidate: Candidate,
        clock: Clock,
        on_change: Callable[[bool], None],
        unfit: Callable[[], str],
    ) -> None:
        """``unfit``: why this replica must not lead now, or nothing."""
        self._cluster = cluster
        self._settings = settings
        self._division = division
        self._candidate = candidate
        self._clock = clock
        self._on_change = on_change
        self._main = HolderWatch(clock, usual_s=settings.duration_seconds)
        self._unopposed_until = float("-inf")
        self._was_leader = False
        self.trouble = "not tried yet"
        """Why this replica does not lead, as far as that is not another replica that does."""
        own = [claim_name(settings.lease, pool) for pool in sorted(division.own)]
        self.leases = tuple(own or [settings.lease])
        """Names of the Leases that it stands for: in this order, so that no two replicas wait crosswise."""
        self.others = tuple(claim_name(settings.lease, pool) for pool in sorted(division.claims))
        """Names of the Leases by which other hubs lead, to the main hub."""
        stands = replace(candidate, annotations=annotations_of(division, candidate.identity))
        times = LeaseTimes(settings.duration_seconds, settings.retry_seconds)
        self._elections = [
            LeaseElection(cluster, name, stands, clock=clock, times=times, unfit=unfit)
            for name in self.leases
        ]

    def still_leader(self) -> bool:
        """Tell whether we hold all Leases now, with a fifth of their duration to spare, unopposed."""
        unopposed = self._clock.monotonic() < self._unopposed_until
        return unopposed and all(election.still_leader() for election in self._elections)

    async def run(self) -> None:
        """Stand for election until cancelled; then give the Leases up. Raises ``DivisionChanged``.

        Then the Leases are left to lapse, or to this replica's next life: what it writes is still on its way.
        """
        try:
            while True:
                await self.stand()
                await asyncio.sleep(self._settings.retry_seconds)
        except DivisionChanged:
            self._step_down()
            raise
        except BaseException:
            await asyncio.shield(self._give_up())
            raise

    async def stand(self) -> None:
        """Try once to take what is free, and to renew what is held; then look for who objects."""
        # As in each election: what is said counts from before it was asked for.
        asked_at = self._clock.monotonic()
        holds = await self._take()
        try:
            # Not wait_for: its inner task would be swept away by kopf's cleaning.
            async with asyncio.timeout(self._settings.duration_seconds / 2):
                self.trouble = await self._objection()
        except DivisionChanged:
            raise
        except (HansaError, TimeoutError) as error:
            self.trouble = f"Leases of other hubs not read: {str(error) or 'no answer'}"
            log.warning("leadership not confirmed error=%s", self.trouble)
        else:
            if self.trouble:
                log.info("leads nothing yet: %s", self.trouble)
                self._unopposed_until = float("-inf")
            elif holds:
                self._unopposed_until = asked_at + self._settings.duration_seconds * 0.8
        self._announce()

    async def _take(self) -> bool:
        """Stand for each Lease while those before it are held; give up what is behind one that is not."""
        holds = True
        for election in self._elections:
            if holds:
                holds = await election.stand()
            else:
                await election.give_up()
        return holds

    async def _objection(self) -> str:
        """Return why another hub may lead a pool of ours."""
        if self._division.is_main:
            leases = (await self._cluster.list(self._candidate.leases)).items
            claims = claims_of(leases, self._settings.lease)
            if claims != self._division.claims:
                raise DivisionChanged(_changed(self._division, claims))
            return ""
        try:
            main = await self._cluster.get(f"{self._candidate.leases}/{self._settings.lease}")
        except NotFound:
            return ""
        still_led = self._division.own - left_by_holder(main)
        if self._main.is_free(main) or not still_led:
            return ""
        holder = (main.get("spec") or {}).get("holderIdentity")
        return f"{holder} holds Lease {self._settings.lease} and still leads {_listed(still_led)}"

    def _announce(self) -> None:
        leader = self.still_leader()
        if leader != self._was_leader:
            self._was_leader = leader
            names = ",".join(self.leases)
            who = self._candidate.identity
            log.info("leads now leases=%s identity=%s leader=%s", names, who, leader)
            self._on_change(leader)

    def _step_down(self) -> None:
        self._unopposed_until = float("-inf")
        self._announce()

    async def _give_up(self) -> None:
        self._step_down()
        for election in reversed(self._elections):
            await election.give_up()


def _changed(before: Division, claims: dict[str, frozenset[str]]) -> str:
    text = f"pools led by other hubs were {_listed(before.claims) or 'none'}"
    return f"{text} and are {_listed(claims) or 'none'} now; this hub begins anew without them"


def _listed(pools: Iterable[str]) -> str:
    return ", ".join(sorted(pools))
