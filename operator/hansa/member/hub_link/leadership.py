"""Leadership among an agent's replicas: one works, the others wait for its Lease.

A standby keeps nothing: whoever is elected reads epochs, policy and runs afresh, as after a restart.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Callable

from hansa.adapters.kube.lease import Candidate, LeaseElection, LeaseTimes
from hansa.errors import Retryable
from hansa.member.settings import MemberSettings
from hansa.ports import Clock, Cluster
from hansa.process.app import beside

log = logging.getLogger(__name__)
LEASE = "hansa-member-{}"
"""A cluster may belong to several leagues, each with an agent of its own."""


class Leadership:
    """This replica's candidacy."""

    def __init__(self, settings: MemberSettings, cluster: Cluster, *, clock: Clock) -> None:
        """``cluster``: the member's own."""
        own = settings.leadership
        identity = own.identity or f"{socket.gethostname()}-{os.getpid()}"
        self._changed = asyncio.Event()
        self.election = LeaseElection(
            cluster,
            LEASE.format(settings.node),
            Candidate(settings.namespace, identity),
            clock=clock,
            times=LeaseTimes(own.duration_seconds, own.retry_seconds),
            on_change=lambda _: self._changed.set(),
        )

    async def run(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do ``work`` whenever this replica leads. It has ended before the Lease is given up."""
        async with beside(self.election.run()):
            while True:
                await self._becomes(leading=True)
                await self._while_leading(work)

    async def _while_leading(self, work: Callable[[], Awaitable[None]]) -> None:
        working = asyncio.ensure_future(work())
        deposed = asyncio.ensure_future(self._becomes(leading=False))
        try:
            await asyncio.wait((working, deposed), return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                working.result()
        except Retryable as error:
            log.warning("cannot take over yet", extra={"error": str(error)})
            await asyncio.sleep(error.after_s)
        finally:
            working.cancel()
            deposed.cancel()
            await asyncio.gather(working, deposed, return_exceptions=True)

    async def _becomes(self, *, leading: bool) -> None:
        while self.election.still_leader() != leading:
            self._changed.clear()
            await self._changed.wait()
