"""Leadership by a ``coordination.k8s.io`` Lease, with a fence to ask before each write.

Not ``kubernetes.aio.leaderelection``: it judges expiry by the wall clock, writes naive local times,
does not give the lease up on a clean stop, and has no way to ask "am I still the leader" between
renewals. This loop changes the lease only under its resourceVersion, and measures time only by this
process's own monotonic clock, so a wrong clock cannot make two leaders.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from hansa.errors import Conflict, HansaError, NotFound
from hansa.model.times import rfc3339_micro
from hansa.ports import Clock, Cluster, Manifest

log = logging.getLogger(__name__)


class HolderWatch:
    """Whether a lease's holder is silent: measured by our own clock from when a renewal was seen."""

    def __init__(self, clock: Clock, *, usual_s: float) -> None:
        """``usual_s``: for a lease that does not say how long it lasts."""
        self._clock = clock
        self._usual_s = usual_s
        self._seen_version = ""
        self._seen_at = clock.monotonic()

    def is_free(self, lease: Manifest) -> bool:
        """Tell whether nobody holds a lease, or its holder has not renewed it for as long as it lasts."""
        spec = lease.get("spec") or {}
        version = str(lease["metadata"]["resourceVersion"])
        now = self._clock.monotonic()
        if version != self._seen_version:
            self._seen_version, self._seen_at = version, now
        if not spec.get("holderIdentity"):
            return True
        duration = spec.get("leaseDurationSeconds")
        wait_s = float(duration) if isinstance(duration, int) else self._usual_s
        return now - self._seen_at > wait_s


@dataclass(frozen=True, slots=True)
class Candidate:
    """Who stands for election, in which namespace, and what it writes beside its name."""

    namespace: str
    identity: str
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def leases(self) -> str:
        """The collection of the Leases."""
        return f"/apis/coordination.k8s.io/v1/namespaces/{self.namespace}/leases"


@dataclass(frozen=True, slots=True)
class LeaseTimes:
    """Seconds that others wait after our last renewal, and those between tries."""

    duration_s: float = 15.0
    retry_s: float = 2.0


USUAL = LeaseTimes()


class LeaseElection:
    """One candidate. ``still_leader()`` turns False before anybody else may take over."""

    def __init__(
        self,
        cluster: Cluster,
        name: str,
        candidate: Candidate,
        *,
        clock: Clock,
        times: LeaseTimes = USUAL,
        on_change: Callable[[bool], None] | None = None,
        unfit: Callable[[], str] = lambda: "",
    ) -> None:
        """``name``: of the lease.

        ``unfit`` returns why this candidate must not lead now, or nothing: then it leaves the lease
        to others, and asks the server for it all the same.
        """
        self._cluster = cluster
        self._clock = clock
        self._collection = candidate.leases
        self._name = name
        self._identity = candidate.identity
        self._times = times
        self._on_change = on_change
        self._unfit = unfit
        self._valid_until = float("-inf")
        self._watch = HolderWatch(clock, usual_s=times.duration_s)
        self._annotations = (
            {"annotations": dict(candidate.annotations)} if candidate.annotations else {}
        )
        self._was_leader = False
        self.trouble = "not tried yet"
        """Why the last try could not be made; empty after one that was, won or lost."""

    def still_leader(self) -> bool:
        """Tell whether we hold the lease now, with a fifth of its duration to spare."""
        return self._holds() and not self._unfit()

    def _holds(self) -> bool:
        return self._clock.monotonic() < self._valid_until

    async def run(self) -> None:
        """Stand for election until cancelled; then give the lease up if we hold it."""
        try:
            while True:
                await self.stand()
                await asyncio.sleep(self._times.retry_s)
        finally:
            await asyncio.shield(self.give_up())

    async def stand(self) -> bool:
        """Try once to take the lease, or to renew it; tell whether we lead by it."""
        await self._try_once()
        self._announce()
        return self.still_leader()

    async def _try_once(self) -> None:
        try:
            # Not wait_for: its inner task would be swept away by kopf's cleaning.
            async with asyncio.timeout(self._times.duration_s / 2):
                await self._acquire_or_renew()
            self.trouble = self._unfit()
        except Conflict:
            self.trouble = ""
            log.info("lease taken by another candidate name=%s", self._name)
        except (HansaError, TimeoutError) as error:
            self.trouble = f"lease {self._name} not read or written: {str(error) or 'no answer'}"
            log.warning("lease not renewed name=%s error=%s", self._name, error)

    async def _acquire_or_renew(self) -> None:
        # The validity counts from before the request: the server cannot have stored it earlier.
        asked_at = self._clock.monotonic()
        lease = await self._read()
        if self._unfit():
            await self.give_up()
        elif lease is None:
            meta = {"name": self._name, **self._annotations}
            body = {"metadata": meta, "spec": self._spec(transitions=0)}
            await self._cluster.create(self._collection, body)
            self._hold(asked_at)
        elif self._may_take(lease):
            await self._take(lease)
            self._hold(asked_at)

    async def _read(self) -> Manifest | None:
        try:
            return await self._cluster.get(f"{self._collection}/{self._name}")
        except NotFound:
            return None

    def _may_take(self, lease: Manifest) -> bool:
        is_free = self._watch.is_free(lease)
        return is_free or (lease.get("spec") or {}).get("holderIdentity") == self._identity

    async def _take(self, lease: Manifest) -> None:
        spec = lease.get("spec") or {}
        taken_over = spec.get("holderIdentity") != self._identity
        count = spec.get("leaseTransitions")
        transitions = (count if isinstance(count, int) else 0) + taken_over
        fields = self._spec(transitions=transitions)
        if not taken_over:
            del fields["acquireTime"]
        await self._write(lease, fields)

    async def _write(self, lease: Manifest, spec: Manifest) -> None:
        version = lease["metadata"]["resourceVersion"]
        body = {"metadata": {"resourceVersion": version}, "spec": spec}
        body["metadata"] |= self._annotations
        await self._cluster.merge(f"{self._collection}/{self._name}", body)

    def _spec(self, *, transitions: int) -> Manifest:
        now = rfc3339_micro(self._clock.now())
        return {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": math.ceil(self._times.duration_s),
            "acquireTime": now,
            "renewTime": now,
            "leaseTransitions": transitions,
        }

    def _hold(self, asked_at: float) -> None:
        self._valid_until = asked_at + self._times.duration_s * 0.8

    def _announce(self) -> None:
        leader = self.still_leader()
        if leader != self._was_leader:
            self._was_leader = leader
            log.info("leadership name=%s identity=%s leader=%s", self._name, self._identity, leader)
            if self._on_change is not None:
                self._on_change(leader)

    async def give_up(self) -> None:
        """Leave the lease to others, if we hold it."""
        if not self._holds():
            return
        self._valid_until = float("-inf")
        self._announce()
        try:
            lease = await self._cluster.get(f"{self._collection}/{self._name}")
            if (lease.get("spec") or {}).get("holderIdentity") == self._identity:
                await self._write(lease, {"holderIdentity": "", "leaseDurationSeconds": 1})
        except HansaError as error:
            log.info("lease not given up name=%s error=%s", self._name, error)
