"""Lends checkpoint volumes to runs, and gives back those whose time is over; ``platform.checkpoints`` decides."""

from __future__ import annotations

from hansa.errors import NotFound, NotYet, Terminal
from hansa.ports import Clock, Cluster
from hansa.reconcile.member import data
from hansa.reconcile.member.platform import checkpoints
from hansa.reconcile.member.platform.checkpoints import CheckpointRules, KeptVolume, Lending

CLASSES = "/apis/storage.k8s.io/v1/storageclasses"


class CheckpointVolumes:
    """Reads and changes PersistentVolumes that runs have claimed for checkpoints."""

    def __init__(self, own: Cluster, clock: Clock, rules: CheckpointRules) -> None:
        """``rules``: what the member lends."""
        self._own, self._clock, self._rules = own, clock, rules

    async def lend(self, run: str, machines: int = 1) -> Lending:
        """Return what a run gets, and hand it over; raises ``NotYet`` while a former run holds it.

        ``machines``: how many take runs.
        """
        if not self._rules.storage_class:
            return Lending()
        await self._check_class()
        kept = await self._kept()
        lending = checkpoints.lend(run, kept, self._rules, machines)
        if lending.wait:
            raise NotYet(lending.wait)
        if any(one.name == lending.volume and one.run != run for one in kept):
            await self._own.merge(f"{data.VOLUMES}/{lending.volume}", checkpoints.claimed_by(run))
        return lending

    async def give_back(self) -> None:
        """Let the storage class remove the volumes whose time is over."""
        if not self._rules.storage_class:
            return
        kept = await self._kept()
        for name in checkpoints.expired(kept, self._clock.now(), self._rules):
            await self._own.merge(f"{data.VOLUMES}/{name}", checkpoints.given_back())

    async def _kept(self) -> list[KeptVolume]:
        page = await self._own.list(data.VOLUMES)
        return checkpoints.read_kept(page.items, self._rules)

    async def _check_class(self) -> None:
        name = self._rules.storage_class
        try:
            found = await self._own.get(f"{CLASSES}/{name}")
        except NotFound as error:
            raise Terminal(
                f"runs.checkpoints names storage class {name}, which is not there"
            ) from error
        if found.get("reclaimPolicy") != checkpoints.KEPT:
            raise Terminal(
                f"storage class {name} of runs.checkpoints has reclaimPolicy {found.get('reclaimPolicy')}:"
                " volumes would go with their run; make one with Retain"
            )
        if found.get("volumeBindingMode", "Immediate") != "Immediate":
            raise Terminal(
                f"storage class {name} of runs.checkpoints waits for a first pod"
                " (volumeBindingMode); make one with Immediate"
            )
