"""Changes that might let a waiting job start: what it waits for removed, all else as it is.

Each candidate changes only what its words name; nobody has tried it yet. ``explain_job`` does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain

from hansa.model.plan import Plan, Verdict
from hansa.model.reasons import Reason
from hansa.model.snapshot import Job, Machines, Pool, ResidencyRule, Share, Site, Snapshot
from hansa.placement.state.league import League
from hansa.placement.whatif.compare import with_job, with_pool, with_site, without_jobs
from hansa.placement.whatif.growth import machines_for, with_machines

MOST_SITES = 8
"""Sites to which room is added by way of trial: each costs a plan."""
CENT_MICROS = 10_000
ROOMY = (
    Reason.PENDING,
    Reason.NO_SUCH_ACCELERATOR,
    Reason.NO_ACCELERATOR,
    Reason.EXCEEDS_NODE_SHAPE,
)
"""Verdicts on sites where more machines might help, the nearest first."""


@dataclass(frozen=True, slots=True)
class Remedy:
    """A change, in words and as the snapshot in which it is made."""

    words: str
    changed: Snapshot


@dataclass(frozen=True, slots=True)
class Case:
    """A waiting job, what was decided, and what each rule said."""

    snapshot: Snapshot
    job: Job
    pool: Pool
    plan: Plan
    verdicts: tuple[Verdict, ...]
    league: League
    """The job alone with the sites and rules as they are."""

    def sites(self, *reasons: Reason) -> Iterator[Site]:
        """Sites with one of these verdicts, those with the first reason first."""
        known = {site.name: site for site in reversed(self.snapshot.sites)}
        for reason in reasons:
            yield from (known[v.site] for v in self.verdicts if v.reason is reason)

    @property
    def waiting(self) -> tuple[Job, ...]:
        """Jobs that wait for room, in whatever pool, this one among them."""
        return tuple(o for o in self.snapshot.jobs if o.barred is None and not o.holdings)

    @property
    def ahead(self) -> tuple[Job, ...]:
        """Jobs that wait in the same pool and come first."""
        told = {waiting.job_uid: waiting.position for waiting in self.plan.waiting}
        own = told.get(self.job.uid, 0)
        return tuple(
            other
            for other in self.waiting
            if other.pool == self.job.pool and told.get(other.uid, own) < own
        )


def remedies(case: Case, reason: Reason) -> Iterator[Remedy]:
    """Candidates for the reason a job waits for, smallest change first."""
    for maker in _FOR.get(reason, ()):
        yield from maker(case)


def _resumed(case: Case) -> Iterator[Remedy]:
    words = {
        Reason.SUSPENDED: "its owner resumed it",
        Reason.WAITING_FOR_RELEASE: "its old run were released",
    }
    if case.job.barred in words:
        free = replace(case.job, barred=None, barred_message="")
        yield Remedy(words[case.job.barred], with_job(case.snapshot, free))


def _opened(case: Case) -> Iterator[Remedy]:
    judged = {verdict.site: verdict.reason for verdict in case.verdicts}
    for site in case.snapshot.sites:
        closed = site.unavailable or (Reason.NODE_CORDONED if site.draining else None)
        if closed is not None and judged.get(site.name) is closed:
            opened = replace(site, unavailable=None, unavailable_message="", draining=False)
            yield Remedy(f"{site.name} took work again", with_site(case.snapshot, opened))


def _residency(case: Case) -> Iterator[Remedy]:
    """Its own rule, the pool's, the holders'; then all of them, for several may say the same."""
    snapshot, pool = case.snapshot, case.pool
    free = replace(case.job, residency=ResidencyRule())
    wide = replace(pool, ceiling=ResidencyRule())
    yield Remedy("its own residency rule were wider", with_job(snapshot, free))
    yield Remedy(f"the ceiling of pool {pool.name} were wider", with_pool(snapshot, wide))
    yield Remedy("the holders of its data let it go further", _shared(snapshot, case.job.data))
    both = with_pool(with_job(snapshot, free), wide)
    words = f"its own residency rule and the ceiling of pool {pool.name} were wider"
    yield Remedy(words, both)
    words = f"its own residency rule, the ceiling of pool {pool.name} and its data's were wider"
    yield Remedy(words, _shared(both, case.job.data))


def _shared(snapshot: Snapshot, names: tuple[str, ...]) -> Snapshot:
    def others(rules: Mapping[str, ResidencyRule]) -> Mapping[str, ResidencyRule]:
        return {name: rule for name, rule in rules.items() if name not in names}

    sites = tuple(replace(s, dataset_rules=others(s.dataset_rules)) for s in snapshot.sites)
    return replace(snapshot, sites=sites)


def _held(case: Case) -> Iterator[Remedy]:
    for site in case.sites(Reason.DATA_ELSEWHERE):
        lost = [name for name in dict.fromkeys(case.job.data) if name not in site.datasets]
        more = {**site.datasets, **dict.fromkeys(lost, site.jurisdiction)}
        changed = with_site(case.snapshot, replace(site, datasets=more))
        pinned = all(name in site.disbelieved for name in lost)
        words = "the league's admin pinned {1} to {0}" if pinned else "{0} held {1}"
        yield Remedy(words.format(site.name, ", ".join(lost)), changed)


def _trusted(case: Case) -> Iterator[Remedy]:
    """The highest level below what is needed; whoever asks for more asks for that."""
    job, pool = case.job, case.pool
    levels = {site.assurance for site in case.sites(Reason.ASSURANCE_TOO_LOW)}
    for level in sorted(levels, reverse=True):
        changed, askers = case.snapshot, []
        if job.assurance > level:
            changed = with_job(changed, replace(job, assurance=level))
            askers.append("it")
        if pool.assurance > level:
            changed = with_pool(changed, replace(pool, assurance=level))
            askers.append(f"pool {pool.name}")
        yield Remedy(f"{' and '.join(askers)} asked for L{level} only", changed)


def _paid(case: Case) -> Iterator[Remedy]:
    """The budget that the cheapest, then the next node would need, rounded up to a cent."""
    record, rules = case.league.records[case.job.uid], case.league.rules
    kind = case.league.kinds.kinds[record.kind]
    cells = case.league.fleet.cells_of_site
    index = case.league.fleet.site_index
    at = [cell for s in case.sites(Reason.OVER_BUDGET) for cell in cells[index[s.name]]]
    hourly = rules.hourly_cost(kind, kind.workers)[at].tolist()
    needs = {-(-cost * case.job.max_runtime_s // 3600) for cost in hourly}
    for micros in sorted({-(-need // CENT_MICROS) * CENT_MICROS for need in needs}):
        if micros > (case.job.budget_micros or 0):
            richer = replace(case.job, budget_micros=micros)
            words = f"its budget were {micros / 1e6:.2f}"
            yield Remedy(words, with_job(case.snapshot, richer))


def _forgiven(case: Case) -> Iterator[Remedy]:
    for name in sorted(case.job.refused_by):
        rest = {site: words for site, words in case.job.refused_by.items() if site != name}
        changed = with_job(case.snapshot, replace(case.job, refused_by=rest))
        yield Remedy(f"{name} no longer refused it", changed)


def _admitted(case: Case) -> Iterator[Remedy]:
    job, pool, gpus = case.job, case.pool, _gpus(case.job)
    shares = (*pool.shares, Share(job.institution, nominal_gpus=gpus))
    words = f"{job.institution} had a share of {gpus} GPUs in pool {pool.name}"
    yield Remedy(words, with_pool(case.snapshot, replace(pool, shares=shares)))


def _quota(case: Case) -> Iterator[Remedy]:
    """More nominal share: by what the job needs, then by all that the institution wants."""
    job, pool = case.job, case.pool
    mine = [
        other
        for other in case.snapshot.jobs
        if (other.pool, other.institution) == (job.pool, job.institution)
    ]
    for more in (_gpus(job), sum(map(_gpus, mine))):
        yield Remedy(
            f"{job.institution} had {more} GPUs more of pool {pool.name}", _given(case, more)
        )


def _given(case: Case, gpus: int) -> Snapshot:
    shares = tuple(
        replace(share, nominal_gpus=max(0, share.nominal_gpus) + gpus)
        if share.institution == case.job.institution
        else share
        for share in case.pool.shares
    )
    return with_pool(case.snapshot, replace(case.pool, shares=shares))


def _quota_and_room(case: Case) -> Iterator[Remedy]:
    *_, widest = _quota(case)
    for more in _room(replace(case, snapshot=widest.changed)):
        yield Remedy(f"{widest.words} and {more.words}", more.changed)


def _uncapped(case: Case) -> Iterator[Remedy]:
    pool = case.pool
    for cap in pool.caps:
        rest = tuple(other for other in pool.caps if other != cap)
        words = f"the cap of {cap.max_percent} % on {cap.dimension} were lifted"
        yield Remedy(words, with_pool(case.snapshot, replace(pool, caps=rest)))
    if len(pool.caps) > 1:
        free = with_pool(case.snapshot, replace(pool, caps=()))
        yield Remedy("all concentration caps were lifted", free)


def _ahead_gone(case: Case) -> Iterator[Remedy]:
    ahead = case.ahead
    if ahead:
        words = f"the {len(ahead)} jobs ahead of it were gone"
        yield Remedy(words, without_jobs(case.snapshot, frozenset(other.uid for other in ahead)))


def _cleared(case: Case) -> Iterator[Remedy]:
    victims = {stop.job_uid for stop in case.plan.stops if stop.in_favour_of == case.job.uid}
    names = sorted(other.name for other in case.snapshot.jobs if other.uid in victims)
    if names:
        words = f"{' and '.join(names)} had ended"
        cleared = without_jobs(case.snapshot, frozenset(victims))
        yield Remedy(words, cleared)
        for more in _ahead_gone(replace(case, snapshot=cleared)):
            yield Remedy(f"{words} and {more.words}", more.changed)


def _room(case: Case) -> Iterator[Remedy]:
    """All that a site has lent, then machines: for it, for what is ahead, for all that waits."""
    sites = list(case.sites(*ROOMY))[:MOST_SITES]
    for site in sites:
        rest = {name: n for name, n in site.lent_gpus.items() if not _usable(name, case)}
        if len(rest) < len(site.lent_gpus):
            lent = with_site(case.snapshot, replace(site, lent_gpus=rest))
            yield Remedy(f"{site.name} lent all its GPUs", lent)
    for crowd in ((case.job,), (*case.ahead, case.job), case.waiting):
        for site in sites:
            machines = tuple(
                chain.from_iterable(machines_for(o, site, case.job, case.pool) for o in crowd)
            )
            changed = with_site(case.snapshot, with_machines(site, machines))
            yield Remedy(f"{site.name} had {_counted(machines)}", changed)


def _counted(machines: Iterable[Machines]) -> str:
    """GPUs by class, in words.

    >>> _counted([Machines(2, 1, "nvidia-t4", 0, 0, 0)])
    '2 nvidia-t4 GPUs more'
    """
    counts: Counter[str] = Counter()
    for group in machines:
        counts[group.gpu_class] += group.count * group.gpus
    words = [f"{n} {name} GPU{'s' * (n > 1)}" for name, n in sorted(counts.items()) if n]
    return f"{' and '.join(words)} more" if words else "more machines"


def _usable(gpu_class: str, case: Case) -> bool:
    return gpu_class == (case.job.shape.gpu_class or gpu_class)


def _gpus(job: Job) -> int:
    return max(0, job.shape.total_gpus)


Maker = Callable[[Case], Iterator[Remedy]]
_FOR: Mapping[Reason, tuple[Maker, ...]] = {
    Reason.SUSPENDED: (_resumed,),
    Reason.WAITING_FOR_RELEASE: (_resumed,),
    Reason.NOT_ADMITTED_TO_POOL: (_admitted,),
    Reason.RESIDENCY_DENIED: (_residency,),
    Reason.LEGAL_CONTROL_DENIED: (_residency,),
    Reason.DATA_ELSEWHERE: (_held,),
    Reason.ASSURANCE_TOO_LOW: (_trusted,),
    Reason.OVER_BUDGET: (_paid,),
    Reason.NODE_REFUSED: (_forgiven,),
    Reason.NODE_OF_TWO_LEADERS: (_opened, _room),
    Reason.NODE_CORDONED: (_opened, _room),
    Reason.NODE_PAUSED: (_opened, _room),
    Reason.NODE_UNREACHABLE: (_opened, _room),
    Reason.NODE_NOT_READY: (_opened, _room),
    Reason.NODE_NOT_ACCEPTED: (_opened, _room),
    Reason.NO_ACCELERATOR: (_room,),
    Reason.NO_SUCH_ACCELERATOR: (_room,),
    Reason.EXCEEDS_NODE_SHAPE: (_room,),
    Reason.EXCEEDS_POOL_QUOTA: (_quota, _quota_and_room),
    Reason.EXCEEDS_CAP: (_uncapped,),
    Reason.WAITING_FOR_QUOTA: (_quota, _quota_and_room),
    Reason.WAITING_FOR_CAP: (_uncapped,),
    Reason.WAITING_FOR_FAIR_SHARE: (_ahead_gone, _room, _uncapped),
    Reason.WAITING_FOR_PREEMPTION: (_cleared, _room, _uncapped),
    Reason.WAITING_FOR_CAPACITY: (_room, _uncapped, _ahead_gone),
}
