"""The runs this agent answers for: parsed grants by run, with what they hold.

Everything here is derived: from the hub's grants while there is a hub, and from the record each run
keeps in its own namespace when there is none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from hansa.api.workgrant import WorkGrantSpec
from hansa.grants.capacity import gpus_wanted
from hansa.grants.envelope import grant_name, workload_name


@dataclass(frozen=True, slots=True)
class Entry:
    """One grant that was believed."""

    spec: WorkGrantSpec
    wire: Mapping[str, Any]
    digest: str
    gpu_class: str = ""
    taken: tuple[float, float] | None = None
    """When this process read and accepted it, by the wall clock and the monotonic one: a silence that
    was over by then is none of its own. None: an earlier process did."""

    @property
    def uid(self) -> str:
        """The job's uid on the hub."""
        return self.spec.job.uid

    @property
    def epoch(self) -> int:
        """The epoch granted."""
        return self.spec.epoch

    @property
    def name(self) -> str:
        """Name of the namespace and of the object that does the work."""
        return workload_name(self.uid, self.spec.epoch)

    @property
    def grant(self) -> str:
        """Name of the WorkGrant."""
        return grant_name(self.uid, self.spec.epoch)

    @property
    def title(self) -> str:
        """The job as a person knows it."""
        return f"{self.spec.job.namespace}/{self.spec.job.name}"

    @property
    def gpus(self) -> int:
        """GPUs of the gang."""
        return gpus_wanted(self.spec)


class RunIndex:
    """Entries by run name, and the sums over those that hold something."""

    def __init__(self) -> None:
        """Begin empty."""
        self._entries: dict[str, Entry] = {}
        self._held: Counter[str] = Counter()
        self._holding: set[str] = set()

    def get(self, name: str) -> Entry | None:
        """Return one entry."""
        return self._entries.get(name)

    def names(self) -> list[str]:
        """Return all runs."""
        return list(self._entries)

    def of(self, job_uid: str) -> list[Entry]:
        """Return the entries of one job that hold something."""
        return [self._entries[n] for n in self._holding if self._entries[n].uid == job_uid]

    def only_run_of(self, job_uid: str) -> str | None:
        """Return the one run of a job that holds something, as receipts call it; None: not just one."""
        held = self.of(job_uid)
        return f"{job_uid}.{held[0].epoch}" if len(held) == 1 else None

    def put(self, entry: Entry, *, holding: bool) -> None:
        """Take a run in; ``holding``: it counts against what is lent."""
        self.let_go(entry.name)
        self._entries[entry.name] = entry
        if holding:
            self._holding.add(entry.name)
            if entry.gpu_class:
                self._held[entry.gpu_class] += entry.gpus

    def choose_class(self, name: str, gpu_class: str) -> None:
        """Note which GPU class a run has got."""
        entry = self._entries[name]
        if entry.gpu_class != gpu_class:
            self.put(replace(entry, gpu_class=gpu_class), holding=name in self._holding)

    def let_go(self, name: str) -> None:
        """Stop counting a run."""
        if name in self._holding:
            self._holding.discard(name)
            entry = self._entries[name]
            self._held[entry.gpu_class] -= entry.gpus if entry.gpu_class else 0

    def drop(self, name: str) -> None:
        """Forget a run."""
        self.let_go(name)
        self._entries.pop(name, None)

    @property
    def held(self) -> dict[str, int]:
        """GPU class → GPUs held."""
        return {name: count for name, count in self._held.items() if count > 0}

    @property
    def running_jobs(self) -> int:
        """Runs that hold something."""
        return len(self._holding)
