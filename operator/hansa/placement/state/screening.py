"""Which jobs can be planned at all, whatever is free; each of the others has a reason."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from hansa.model.reasons import Reason
from hansa.model.snapshot import Job, Pool
from hansa.placement.rules.eligibility import Rulebook, job_fault
from hansa.placement.rules.job_classes import JobClasses
from hansa.placement.rules.quota_tree import Ledger
from hansa.placement.rules.residency import Fault


class Screened(NamedTuple):
    """What is known of a job before anybody asks what is free."""

    kind: int = -1
    leaf: int = -1
    """Its account; -1: none."""
    fault: Fault | None = None


class Screening:
    """Looks jobs through. Made anew when the rules of a pool change: it remembers what it found."""

    def __init__(
        self, pools: Mapping[str, Pool], ledger: Ledger, rules: Rulebook, kinds: JobClasses
    ) -> None:
        self._pools = pools
        self._ledger = ledger
        self._rules = rules
        self._kinds = kinds
        self._faults: dict[int, Fault | None] = {}

    def screen(self, job: Job) -> Screened:
        """Class, account, and what keeps the job from ever being placed."""
        barred = None if job.barred is None else Fault(job.barred, job.barred_message)
        if barred is None and job.pool not in self._pools:
            return Screened(fault=Fault(Reason.UNKNOWN_POOL, f"there is no pool {job.pool}"))
        wrong = job_fault(job)
        if wrong:
            return Screened(fault=Fault(Reason.MISCONFIGURED, wrong))
        if job.pool not in self._pools:
            return Screened(fault=barred)
        leaf = self._ledger.leaf.get((job.pool, job.institution), -1)
        kind = self._kinds.of_job(job)
        return Screened(kind, leaf, barred or self.objection(job, kind, leaf))

    def objection(self, job: Job, kind: int, leaf: int) -> Fault | None:
        """What in the rules of its pool or data keeps a sound job from ever being placed.

        The same of all jobs of a class, for that names the account too.
        """
        if kind not in self._faults:
            self._faults[kind] = self._objection(job, kind, leaf)
        return self._faults[kind]

    def _objection(self, job: Job, kind: int, leaf: int) -> Fault | None:
        if leaf < 0:
            words = f"{job.institution} has no share of pool {job.pool}"
            return Fault(Reason.NOT_ADMITTED_TO_POOL, words)
        return self._rules.fault(self._kinds.kinds[kind]) or self._too_much(job, kind, leaf)

    def _too_much(self, job: Job, kind: int, leaf: int) -> Fault | None:
        gpus = self._kinds.kinds[kind].gpus
        ceiling = int(self._ledger.ceiling[leaf])
        if gpus <= ceiling:
            return None
        words = (
            f"needs {gpus} GPUs; {job.institution} may never hold more than {ceiling} in {job.pool}"
        )
        return Fault(Reason.EXCEEDS_POOL_QUOTA, words)
