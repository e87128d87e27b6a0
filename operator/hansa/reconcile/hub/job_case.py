"""All that decides about one AIJob, as a value: what ``derive`` is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hansa.api.job.log_window import LONGEST_KEPT_S
from hansa.model.log_request import read_log_request
from hansa.model.plan import Placement, Stop, Verdict, Waiting
from hansa.model.times import from_rfc3339
from hansa.reconcile.fencing import Fence
from hansa.reconcile.hub.grant_view import GrantView
from hansa.reconcile.hub.job_view import JobView
from hansa.reconcile.hub.status.billing import Bill

MOST_FORGOTTEN = 100_000
"""Epochs a backup may lack; a member that names more would only use the numbers up."""
JobDecision = Placement | Waiting | Stop | None


@dataclass(frozen=True, slots=True)
class Epoch:
    """A grant, and whether it is surely over."""

    grant: GrantView
    fence: Fence
    released: bool
    """The node's signed release was verified."""

    @property
    def settled(self) -> bool:
        """Whether the member itself said that it is over."""
        return self.released or (self.grant.refused is not None and not self.grant.outdated)


@dataclass(frozen=True, slots=True)
class JobCase:
    """One AIJob and all that decides about it."""

    job: JobView
    epochs: tuple[Epoch, ...]
    decision: JobDecision
    now_s: float
    skew_s: float
    institution: str = ""
    project: str = ""
    """Project that it is charged to; empty: none."""
    overlays: tuple[Mapping[str, Any], ...] = ()
    audience: str = ""
    """SHA-256 of the key pinned for the node that the job has or gets."""
    verdicts: tuple[Verdict, ...] = ()
    bill: Bill | None = None
    gainer: str = ""
    """Institution for whose work the planner stops this job."""
    removed: bool = False
    """Whether the node that the job has is no SovereignNode any more."""
    silent: bool = False
    """Whether that node has not renewed its Lease in time."""
    heartbeat_s: float = 0.0
    """When that node last renewed its Lease; 0: never."""
    written_s: float = 0.0
    """When the job's status was last written, by this process."""
    tidying: bool = True
    """Whether nothing better is to be done; otherwise what may wait does."""

    @property
    def current(self) -> Epoch | None:
        """The epoch the status names, if its grant exists."""
        job = self.job
        for epoch in self.epochs:
            if (epoch.grant.epoch, epoch.grant.node) == (job.epoch, job.node):
                return epoch
        return None

    @property
    def all_over(self) -> bool:
        """Whether no epoch may still run anywhere."""
        return all(epoch.fence.over for epoch in self.epochs)

    @property
    def highest(self) -> int:
        """The highest epoch known; a member's word counts only as far as it can do no harm."""
        known = max((self.job.epoch, *(epoch.grant.epoch for epoch in self.epochs)))
        told = (epoch.grant.status.highest_epoch for epoch in self.epochs)
        return max((known, *(number for number in told if number <= known + MOST_FORGOTTEN)))

    def log_wish(self, grant: GrantView) -> str:
        """Return by which annotation the owner follows the log of a run; empty: it does not, or not any more."""
        asked = read_log_request(self.job.log_request, self.now_s, self.skew_s)
        stands = asked is not None and asked.epoch == grant.epoch and grant.accepted
        return self.job.log_request if stands else ""

    def log_kept_s(self, grant: GrantView) -> float:
        """Return for how many seconds more a member keeps the log of the run that ended the job; 0: not.

        Its word counts for so long after the end as any log may be kept.
        """
        kept, ended_s = grant.status.kept_log, from_rfc3339(self.job.status.get("finishedAt"))
        until_s = from_rfc3339(kept.until) if kept else None
        if until_s is None or ended_s is None:
            return 0.0
        return max(0.0, min(until_s, ended_s + LONGEST_KEPT_S) - self.now_s)

    def _only_keeps(self, epoch: Epoch) -> bool:
        grant = epoch.grant
        return epoch.settled and not grant.awaits_export and self.log_kept_s(grant) > 0

    @property
    def expires_s(self) -> float | None:
        """When the job is to be deleted, in seconds since the Unix epoch; None: it stays for now.

        A grant is removed once its outcome is recorded and its epoch released: while there is one, or
        our finalizer, the job is needed. One that stays for a log alone goes with its job.
        """
        spec, finished_s = self.job.parsed.spec, from_rfc3339(self.job.status.get("finishedAt"))
        ttl_s = spec.ttl_seconds_after_finished if spec else None
        if ttl_s is None or finished_s is None or not self.job.ended:
            return None
        if self.job.finalized or self.job.deleting or not all(map(self._only_keeps, self.epochs)):
            return None
        return finished_s + ttl_s
