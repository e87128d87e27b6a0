"""What the rules say about one job at every site, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from hansa.model.plan import Verdict
from hansa.model.reasons import Reason
from hansa.model.snapshot import Job, Pool, Site, Snapshot
from hansa.placement.explain.standing import GRAVE, PASSES, Standing, site_codes
from hansa.placement.rules.eligibility import OUTSIDE, JobClass
from hansa.placement.rules.fleet import Ints
from hansa.placement.state.league import League
from hansa.placement.state.records import Record


def verdicts(snapshot: Snapshot, job_uid: str) -> list[Verdict]:
    """One verdict a site of the job's pool, gravest first; Pending where it could run.

    Empty for an unknown job or pool.
    """
    league, job = alone(snapshot, job_uid)
    if job is None:
        return []
    ruled = rulings(league, league.records[job_uid])
    return [*ruled.refused(), *(Verdict(site, Reason.PENDING, "") for site in ruled.passing())]


@dataclass(frozen=True, slots=True)
class Rulings:
    """What the rules say about one job at every site, in words only where somebody asks for them.

    A site has many messages and a large league many sites: a status shows a few dozen of them.
    """

    league: League
    record: Record
    standing: Standing
    codes: Ints
    """Per site: of the rule that refuses the job."""
    gravity: Ints
    """Per site: of the reason that refuses the job; ``PASSES`` where it may run, ``NOT_OURS`` outside."""

    def refused(self, most: int | None = None) -> list[Verdict]:
        """Verdicts of the sites that may not take the job, gravest first, then by name."""
        order = np.argsort(self.gravity, kind="stable")
        count = int(np.count_nonzero(self.gravity < PASSES))
        return [self._verdict(at) for at in order[:count][:most].tolist()]

    def passing(self) -> list[str]:
        """Names of the sites that may take it, in order."""
        sites = self.league.fleet.sites
        return [sites[at].name for at in np.flatnonzero(self.gravity == PASSES).tolist()]

    def _verdict(self, at: int) -> Verdict:
        site, reason = self.league.fleet.sites[at], GRAVE[self.gravity[at]]
        if self.codes[at] == 0 or reason is site.unavailable:
            return self.standing.said(at, reason, lambda: _state_words(site))
        if reason in BY_SITE:
            return self.standing.said(at, reason, lambda: self._words(reason, site))
        return Verdict(site.name, reason, self._words(reason, site))

    def _words(self, reason: Reason, site: Site) -> str:
        kind = self.league.kinds.kinds[self.record.kind]
        pool, job = self.league.pools[self.record.job.pool], self.record.job
        return _MESSAGES[reason](_Ruled(pool, job, kind, site, self.standing.highest))


def rulings(league: League, record: Record, standing: Standing | None = None) -> Rulings:
    """The same for a job of a compiled league; ``standing`` of its fleet, where that is known."""
    known = standing or Standing(league.fleet)
    if record.kind < 0:
        codes = np.full(len(league.fleet.sites), OUTSIDE, np.int64)
    else:
        codes = site_codes(league, record.kind)
    return Rulings(league, record, known, codes, known.gravity(codes))


def _state_words(site: Site) -> str:
    return site.unavailable_message if site.unavailable else "the node is being drained"


def removed(told: Iterable[Verdict]) -> Mapping[Reason, int]:
    """Rule → sites that it, as the first, removed; gravest first."""
    counts = Counter(verdict.reason for verdict in told if verdict.reason is not Reason.PENDING)
    return {reason: counts[reason] for reason in sorted(counts, key=lambda r: r.gravity)}


def alone(snapshot: Snapshot, job_uid: str) -> tuple[League, Job | None]:
    """The job in a league of its own, with the sites and rules as they are."""
    job = next((job for job in snapshot.jobs if job.uid == job_uid), None)
    return League(replace(snapshot, jobs=() if job is None else (job,))), job


def _wanted(kind: JobClass, pool: Pool) -> str:
    """The GPU that the job asks for, as far as it does, and what its pool admits."""
    name, memory = kind.shape.gpu_class, kind.shape.gpu_memory_bytes
    words = name or "GPU"
    if memory:
        words += f" of at least {memory >> 30} GiB"
    if pool.gpu_classes and not name:
        words += f" that pool {pool.name} admits ({', '.join(sorted(pool.gpu_classes))})"
    elif pool.gpu_classes and name not in pool.gpu_classes:
        words += f"; pool {pool.name} admits {', '.join(sorted(pool.gpu_classes))} only"
    return words


@dataclass(frozen=True, slots=True)
class _Ruled:
    """What a message is made of."""

    pool: Pool
    job: Job
    kind: JobClass
    site: Site
    highest: int
    """Assurance level that any site of the league has."""

    def disputed(self) -> str:
        """Whose law reaches the site is not certain."""
        law = ", ".join(sorted(self.site.legal_control)) or "no declared law"
        return f"{self.site.jurisdiction} under {law} is not fully known or declared"

    def reached(self) -> str:
        """Which law reaches the operator."""
        law = ", ".join(sorted(self.site.legal_control)) or "no declared law"
        return f"its operator is reached by {law}"

    def data(self) -> str:
        """Which data sets are elsewhere, and why what the site announces is not believed."""
        lost = sorted(set(self.kind.data) - set(self.site.datasets))
        why = [f"does not hold {', '.join(lost)}"]
        why += [self.site.disbelieved[name] for name in lost if name in self.site.disbelieved]
        return "; ".join(why)

    def assurance(self) -> str:
        """Which level it has, and which is needed; and how one is shown that nobody has: waiting alone shows none."""
        least = max(self.job.assurance, self.pool.assurance)
        said = f"has L{self.site.assurance}, L{least} is needed"
        if self.highest >= least:
            return said
        way = _SHOWN_BY[self.highest + 1]
        return f"{said}; no node of the league has shown L{self.highest + 1}: {way}"

    def none(self) -> str:
        """What it lends nothing of, whatever is asked for."""
        wanted, said = _wanted(self.kind, self.pool), "lends no GPU at all"
        return said if wanted == "GPU" else f"lends no {wanted}; it {said}"

    def size(self) -> str:
        """What it cannot hold."""
        size = f"{self.kind.workers} × {self.kind.shape.gpus} GPUs"
        return f"cannot hold {size} with their CPU and memory even when idle"

    def cap(self) -> str:
        """Which cap would be broken."""
        return f"{self.kind.gpus} GPUs at one party are more than a cap of {self.pool.name} ever allows"


_SHOWN_BY: Mapping[int, str] = {
    1: "countersigned receipts in the witnessed log show it, with a ledger that has the hub's key and a log",
    2: "capacity probes show it, which the ledger sends where its settings.probes are set",
    3: "runs show it that others have run again with the same result, as the pool's verification draws them",
    4: "hardware evidence shows it",
}
"""Level → what lifts a node to it. What the ledger itself lacks of a node stands in the node's status."""
_MESSAGES: Mapping[Reason, Callable[[_Ruled], str]] = {
    Reason.UNKNOWN_JURISDICTION: lambda _: "its rules name a place that does not exist",
    Reason.POOL_MISCONFIGURED: lambda at: f"the rules of pool {at.pool.name} mean nothing",
    Reason.JURISDICTION_DISPUTED: _Ruled.disputed,
    Reason.RESIDENCY_DENIED: lambda at: f"stands in {at.site.jurisdiction}",
    Reason.LEGAL_CONTROL_DENIED: _Ruled.reached,
    Reason.DATA_ELSEWHERE: _Ruled.data,
    Reason.ASSURANCE_TOO_LOW: _Ruled.assurance,
    Reason.NO_ACCELERATOR: _Ruled.none,
    Reason.NO_SUCH_ACCELERATOR: lambda at: f"lends no {_wanted(at.kind, at.pool)}",
    Reason.EXCEEDS_NODE_SHAPE: _Ruled.size,
    Reason.EXCEEDS_CAP: _Ruled.cap,
    Reason.OVER_BUDGET: lambda _: "the longest run time costs more here than the budget",
    Reason.MISCONFIGURED: lambda _: "its price is not a number",
    Reason.NODE_REFUSED: lambda at: at.job.refused_by.get(at.site.name, ""),
}
"""What each rule saw."""
BY_SITE = frozenset(
    {Reason.JURISDICTION_DISPUTED, Reason.RESIDENCY_DENIED, Reason.LEGAL_CONTROL_DENIED}
)
"""Reasons whose words name nothing of the job."""
