"""What the guard reads in a pass. Every read stands alone: one that fails takes no other with it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from hansa.api.kinds import MEMBERPOLICY
from hansa.api.meta import JOB_UID_LABEL
from hansa.errors import HansaError, NotFound, Retryable
from hansa.guard.settings import GuardSettings
from hansa.ports import Cluster, Manifest
from hansa.reconcile.member.contracts import alive
from hansa.reconcile.member.contracts.contact_lease import lease_path, read_contact
from hansa.reconcile.member.guard_verdicts import MarkedRun, read_runs
from hansa.reconcile.member.workload import Workload, WorkloadView

log = logging.getLogger(__name__)
POLICY_NAME = "local"
POLICY = MEMBERPOLICY.path(name=POLICY_NAME)
NAMESPACES = "/api/v1/namespaces"
MOST_AT_ONCE = 16
LONGEST_LOOKS = 2
"""All looks of a pass together take as long as so many that hang."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Reading:
    """What one pass found; None: it could not be read, or is not there."""

    policy: Manifest | None
    runs: list[MarkedRun] | None
    contact_s: float | None
    files: Files | None


@dataclass(frozen=True, slots=True)
class Files:
    """What the pods of runs are told, by namespace."""

    until_s: dict[str, float]
    """Until when they may live; what is there and says nothing is over."""
    begun: frozenset[str]
    """Namespaces of runs whose command was seen to have begun."""


async def read_all(cluster: Cluster, settings: GuardSettings) -> Reading:
    """Read everything at once, but the files of runs once it is known which runs there are."""
    lease, limit_s = lease_path(settings.namespace, settings.node), 2 * settings.answer_seconds
    policy, (runs, files), contact_s = await asyncio.gather(
        _or_none("policy", _policy(cluster), limit_s),
        _runs_and_files(cluster, limit_s),
        _or_none("contact", _contact(cluster, lease), limit_s),
    )
    return Reading(policy, runs, contact_s, files)


async def _runs_and_files(
    cluster: Cluster, limit_s: float
) -> tuple[list[MarkedRun] | None, Files | None]:
    runs = await _or_none("runs", _runs(cluster), limit_s)
    return runs, await _or_none("alive", _alive(cluster, runs or ()), limit_s)


async def _or_none(what: str, read: Awaitable[T], limit_s: float) -> T | None:
    try:
        async with asyncio.timeout(limit_s):
            return await read
    except (HansaError, TimeoutError) as error:
        log.warning("not read", extra={"what": what, "error": str(error) or "it took too long"})
        return None


async def _policy(cluster: Cluster) -> Manifest:
    found = await cluster.get(POLICY)
    metadata = found.get("metadata")
    if not isinstance(metadata, dict) or metadata.get("name") != POLICY_NAME:
        raise Retryable("the API server answered something else than the policy")
    return found


async def _runs(cluster: Cluster) -> list[MarkedRun]:
    return read_runs((await cluster.list(NAMESPACES, labels=JOB_UID_LABEL)).items)


async def _contact(cluster: Cluster, path: str) -> float | None:
    return read_contact(await cluster.get(path))


async def _alive(cluster: Cluster, runs: Iterable[MarkedRun]) -> Files:
    """Read the file of each run by itself: in a list of all namespaces other tenants have their say and their size."""
    free, places = asyncio.Semaphore(MOST_AT_ONCE), [r.name for r in runs if not r.terminating]

    async def look(place: str) -> Manifest | None:
        async with free:
            try:
                return await cluster.get(f"{NAMESPACES}/{place}/configmaps/{alive.NAME}")
            except NotFound:
                return None

    looked = dict(zip(places, await asyncio.gather(*map(look, places)), strict=True))
    found = {place: one for place, one in looked.items() if one is not None}
    return Files(
        {place: alive.read_until(one) or 0.0 for place, one in found.items()},
        frozenset(place for place, one in found.items() if alive.read_begun(one) is not None),
    )


@dataclass(frozen=True, slots=True)
class Works:
    """Reads what does the work of runs, whatever kind of work it is."""

    cluster: Cluster
    workloads: tuple[Workload, ...]
    limit_s: float

    async def read(self, runs: Iterable[MarkedRun]) -> dict[str, WorkloadView | None]:
        """Return namespace → what does its work; what could not be read, or not in time, is left out.

        A server that hangs over this kind of object must not keep the pods from being told that they may live.
        """
        free = asyncio.Semaphore(MOST_AT_ONCE)

        async def look(run: MarkedRun) -> tuple[str, WorkloadView | None] | None:
            async with free:
                return await _or_none(run.name, _understood(self._of(run)), self.limit_s)

        looks = [asyncio.ensure_future(look(run)) for run in runs]
        if not looks:
            return {}
        try:
            done, _ = await asyncio.wait(looks, timeout=LONGEST_LOOKS * self.limit_s)
        finally:
            for one in looks:
                one.cancel()
        known = (one.result() for one in looks if one in done)
        return dict(pair for pair in known if pair is not None)

    async def _of(self, run: MarkedRun) -> tuple[str, WorkloadView | None]:
        for workload in self.workloads:
            try:
                thing = await self.cluster.get(f"{workload.resource.path(run.name)}/{run.name}")
            except NotFound:
                continue
            return run.name, workload.observe(thing)
        return run.name, None


async def _understood(read: Awaitable[T]) -> T:
    """Have an object that makes no sense count as one that could not be read."""
    try:
        return await read
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise HansaError(f"{type(error).__name__}: {error}") from error


def is_known_start(view: WorkloadView | None) -> bool:
    """Tell whether it is known since when a run runs: that does not change any more."""
    return view is not None and view.started and view.running_s is not None
