"""What the guard reads in a pass. Every read stands alone: one that fails takes no other with it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
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
    """What a pass found first; None: it could not be read, or is not there."""

    policy: Manifest | None
    runs: list[MarkedRun] | None
    contact_s: float | None


@dataclass(frozen=True, slots=True)
class Files:
    """What the pods of runs are told, by namespace; what is not there, or could not be read, is left out."""

    until_s: dict[str, float]
    """Until when they may live; what is there and says nothing is over."""
    begun: frozenset[str]
    """Namespaces of runs whose command was seen to have begun."""


async def read_all(cluster: Cluster, settings: GuardSettings) -> Reading:
    """Read at once what says which runs there are, and whether any may go on."""
    lease, limit_s = lease_path(settings.namespace, settings.node), 2 * settings.answer_seconds
    policy, runs, contact_s = await asyncio.gather(
        _or_none("policy", _policy(cluster), limit_s),
        _or_none("runs", _runs(cluster), limit_s),
        _or_none("contact", _contact(cluster, lease), limit_s),
    )
    return Reading(policy, runs, contact_s)


async def _or_none(what: str, read: Awaitable[T], limit_s: float) -> T | None:
    try:
        async with asyncio.timeout(limit_s):
            return await read
    except (HansaError, TimeoutError) as error:
        log.warning("not read", extra={"what": what, "error": _said(error)})
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


class Looks:
    """Reads what there is one of for each run, some at a time: one that fails takes no other with it."""

    def __init__(self, limit_s: float) -> None:
        """``limit_s``: of one read; all together take as long as ``LONGEST_LOOKS`` that hang."""
        self._limit_s = limit_s
        self._last = ""

    async def read(self, reads: Mapping[str, Callable[[], Awaitable[T]]]) -> dict[str, T]:
        """Return what was read, in the order of ``reads``; what could not be, or not in time, is left out.

        Where there is no time for all, the next call goes on behind the last: each has its turn.
        """
        free, found = asyncio.Semaphore(MOST_AT_ONCE), dict[str, T]()

        async def look(name: str) -> None:
            async with free:
                self._last = name
                try:
                    async with asyncio.timeout(self._limit_s):
                        found[name] = await reads[name]()
                except NotFound:
                    return
                except (HansaError, TimeoutError) as error:
                    log.warning("not read", extra={"what": name, "error": _said(error)})

        order = sorted(reads, key=lambda name: (name <= self._last, name))
        looks = [asyncio.ensure_future(look(name)) for name in order]
        if not looks:
            return {}
        try:
            done, _ = await asyncio.wait(looks, timeout=LONGEST_LOOKS * self._limit_s)
        finally:
            for one in looks:
                one.cancel()
        for one in done:
            one.result()
        return {name: found[name] for name in reads if name in found}


async def read_files(cluster: Cluster, runs: Iterable[MarkedRun], looks: Looks) -> Files:
    """Read the file of each run by itself: in a list of all namespaces other tenants have their say and their size."""
    reads = {
        run.name: partial(cluster.get, f"{NAMESPACES}/{run.name}/configmaps/{alive.NAME}")
        for run in runs
    }
    found = await looks.read(reads)
    return Files(
        {place: alive.read_until(one) or 0.0 for place, one in found.items()},
        frozenset(place for place, one in found.items() if alive.read_begun(one) is not None),
    )


def _said(error: Exception) -> str:
    return str(error) or "it took too long"


@dataclass(frozen=True, slots=True)
class Works:
    """Reads what does the work of runs, whatever kind of work it is."""

    cluster: Cluster
    workloads: tuple[Workload, ...]
    looks: Looks

    async def read(self, runs: Iterable[MarkedRun]) -> dict[str, WorkloadView | None]:
        """Return namespace → what does its work; what could not be read, or not in time, is left out.

        A server that hangs over this kind of object must not keep the pods from being told that they may live.
        """
        return await self.looks.read({run.name: partial(self._seen, run) for run in runs})

    async def _seen(self, run: MarkedRun) -> WorkloadView | None:
        return await _understood(self._of(run))

    async def _of(self, run: MarkedRun) -> WorkloadView | None:
        for workload in self.workloads:
            try:
                thing = await self.cluster.get(f"{workload.resource.path(run.name)}/{run.name}")
            except NotFound:
                continue
            return workload.observe(thing)
        return None


async def _understood(read: Awaitable[T]) -> T:
    """Have an object that makes no sense count as one that could not be read."""
    try:
        return await read
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise HansaError(f"{type(error).__name__}: {error}") from error


def is_known_start(view: WorkloadView | None) -> bool:
    """Tell whether it is known since when a run runs: that does not change any more."""
    return view is not None and view.started and view.running_s is not None
