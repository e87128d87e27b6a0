"""Why each other node was not chosen, told once for all jobs that are alike."""

from __future__ import annotations

from dataclasses import replace

from hansa.model.plan import Verdict
from hansa.model.reasons import Reason
from hansa.model.snapshot import Job, Snapshot
from hansa.placement import planner

MAX_SITES_EXPLAINED = 64
"""With more sites, verdicts are told for waiting jobs only: they would cost more than the plan."""
_WORDS = {
    Reason.OUTBID: "eligible, another node was better",
    Reason.WAITING_FOR_CAPACITY: "eligible, but full now",
}


class Explanations:
    """The planner's verdicts over one state of sites and pools; jobs of a burst are mostly alike."""

    def __init__(self) -> None:
        """Know no sites."""
        self._base = Snapshot(0, (), (), ())
        self._known: dict[object, list[Verdict]] = {}

    def follow(self, base: Snapshot) -> None:
        """Explain by these sites and pools from now on."""
        self._base, self._known = replace(base, jobs=()), {}

    def of(self, job: Job, chosen: str) -> tuple[Verdict, ...]:
        """Return a verdict for each site but the chosen one, which is empty for a waiting job."""
        if chosen and len(self._base.sites) > MAX_SITES_EXPLAINED:
            return ()
        fits = Reason.OUTBID if chosen else Reason.WAITING_FOR_CAPACITY
        return tuple(
            Verdict(row.site, fits, row.message or _WORDS[fits])
            if row.reason is Reason.PENDING
            else row
            for row in self._explained(job)
            if row.site != chosen
        )

    def _explained(self, job: Job) -> list[Verdict]:
        refusals = tuple(sorted(job.refused_by.items()))
        rules = (job.residency, job.data, job.spread, job.assurance, refusals)
        limits = (job.shape, job.budget_micros, job.max_runtime_s, job.priority, job.barred)
        kind = (job.pool, job.institution, *rules, *limits)
        if kind not in self._known:
            alone = replace(self._base, jobs=(job,))
            self._known[kind] = planner.explain(alone, job.uid)
        return self._known[kind]
