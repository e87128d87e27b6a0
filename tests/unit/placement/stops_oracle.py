"""What must hold of every stop in a plan: nobody yields whom no rule lets yield, and none in vain."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from e2e.lawful import is_lawful
from hansa.model.plan import Plan, Stop
from hansa.model.reasons import Reason
from hansa.model.snapshot import Holding, Job, Pool, Snapshot
from tests.unit.placement.oracle import Tally, lent_gpus

Account = tuple[str, str]
"""(pool, institution)."""


def least_gpus(job: Job) -> int:
    """GPUs of the fewest useful workers."""
    return (job.shape.min_workers or job.shape.workers) * job.shape.gpus


def _account(job: Job) -> Account:
    return job.pool, job.institution


class Standing:
    """What institutions hold once all that is stopping has gone, kept up stop by stop."""

    def __init__(self, tally: Tally) -> None:
        self.held: Counter[Account] = Counter()
        for part in tally.parts:
            self.held[_account(part.job)] += part.gpus
        for job in tally.snapshot.jobs:
            for held in job.holdings:
                if held.stopping and held.site in tally.sites:
                    gone = held.workers - held.stopping_to
                    self.held[_account(job)] -= gone * job.shape.gpus
        self.soon: Counter[Account] = Counter()
        """What jobs will hold that wait for what is stopping already."""
        gaining = {stop.in_favour_of for stop in tally.decided.stops}
        for waiting in tally.decided.waiting:
            is_soon = waiting.reason is Reason.WAITING_FOR_PREEMPTION
            if is_soon and waiting.job_uid not in gaining:
                job = tally.jobs[waiting.job_uid]
                self.soon[_account(job)] += least_gpus(job)

    def excess(self, job: Job, pool: Pool) -> int:
        """GPUs above the nominal share of the job's institution, at most; endless without one."""
        nominal = {share.institution: share.nominal_gpus for share in pool.shares}
        if pool.shares and job.institution not in nominal:
            return 1 << 60
        account = _account(job)
        return self.held[account] + self.soon[account] - nominal.get(job.institution, 0)

    def is_entitled(self, job: Job, pool: Pool) -> bool:
        """Whether the job may stay within its institution's nominal share."""
        nominal = {share.institution: share.nominal_gpus for share in pool.shares}
        return self.held[_account(job)] + least_gpus(job) <= nominal.get(job.institution, 0)


def wrong_stops(snapshot: Snapshot, decided: Plan, *, is_whole: bool = True) -> list[str]:
    """Stops that no rule allows. ``is_whole``: the plan tells of everybody who waits."""
    tally = Tally(snapshot, decided)
    twice = Counter((stop.job_uid, stop.site) for stop in decided.stops)
    found = [f"{uid} is stopped twice at {site}" for (uid, site), n in twice.items() if n > 1]
    standing = Standing(tally)
    for at, stop in enumerate(decided.stops):
        job = tally.jobs[stop.job_uid]
        held = next((h for h in job.holdings if h.site == stop.site), None)
        if held is None:  # nor may a plan stop what it starts
            found.append(f"{job.uid} is stopped at {stop.site}, where it holds nothing")
            continue
        if held.stopping:
            found.append(f"{job.uid} is stopping already")
        if stop.in_favour_of:
            found += _inversion(tally, standing, stop, held, is_whole=is_whole)
        else:
            found += _groundless(tally, stop)
        standing.held[_account(job)] -= (held.workers - stop.workers) * job.shape.gpus
        if stop.in_favour_of:
            after = decided.stops[at + 1 : at + 2]
            if not after or after[0].in_favour_of != stop.in_favour_of:
                gaining = tally.jobs[stop.in_favour_of]
                standing.held[_account(gaining)] += least_gpus(gaining)
    return [*found, *_in_vain(tally), *_beyond_budget(tally)]


def _inversion(
    tally: Tally, standing: Standing, stop: Stop, held: Holding, *, is_whole: bool
) -> Iterator[str]:
    victim, gaining = tally.jobs[stop.job_uid], tally.jobs[stop.in_favour_of]
    words, pool = f"{victim.uid} yields to {gaining.uid}", tally.pools[victim.pool]
    if victim.pool != gaining.pool or gaining.holdings or not held.confirmed:
        yield f"{words} of another pool, or which runs, or before its member said yes"
    if stop.workers:
        if stop.workers != victim.shape.min_workers or stop.workers >= held.workers:
            yield f"{words} and shrinks from {held.workers} to {stop.workers}"
        return
    if not victim.preemptible:
        yield f"{words} and must not be stopped"
    if tally.snapshot.now_s - held.since_s < pool.preemption.min_runtime_s:
        yield f"{words} and had just begun"
    if not _is_fair(standing, victim, gaining, pool, is_whole=is_whole):
        yield f"{words}, which has no better right"


def _is_fair(standing: Standing, victim: Job, gaining: Job, pool: Pool, *, is_whole: bool) -> bool:
    """Priority, where the victim's institution keeps its share; or a share above nominal."""
    rule, is_own = pool.preemption, victim.institution == gaining.institution
    excess = standing.excess(victim, pool) if is_whole else 1 << 60
    stays = is_own or excess >= victim.shape.gpus * victim.holdings[0].workers
    if rule.lower_priority and victim.priority < gaining.priority and stays:
        return True
    is_entitled = not is_own and standing.is_entitled(gaining, pool)
    return rule.borrowers and is_entitled and excess > 0


def _groundless(tally: Tally, stop: Stop) -> Iterator[str]:
    """Stops for drains, suspensions and law where there is no such thing."""
    job, site = tally.jobs[stop.job_uid], tally.sites[stop.site]
    grounds = {
        Reason.SUSPENDED: job.barred is Reason.SUSPENDED,
        Reason.NODE_CORDONED: site.draining,
        Reason.RESIDENCY_DENIED: must_leave(tally.snapshot, job, site),
        Reason.LEGAL_CONTROL_DENIED: must_leave(tally.snapshot, job, site),
    }
    if not grounds.get(stop.reason):
        yield f"{job.uid} is stopped at {site.name} for no {stop.reason}"


def must_leave(snapshot: Snapshot, job: Job, site) -> bool:
    """Whether the law no longer allows a job where it is."""
    return not is_lawful(snapshot, job, site)


def _in_vain(tally: Tally) -> Iterator[str]:
    """Sites where, with all victims gone, there is still no room for whom they yield to."""
    gained: dict[str, str] = {s.in_favour_of: s.site for s in tally.decided.stops if s.in_favour_of}
    left = {(s.job_uid, s.site): s.workers for s in tally.decided.stops}
    for uid, name in gained.items():
        site, need = tally.sites[name], least_gpus(tally.jobs[uid])
        room: Counter[str] = Counter()
        for part in tally.parts:
            if part.site == name and not part.is_lost(site):
                workers = min(part.workers, _left(part.job, name, left))
                room[part.gpu_class] -= workers * part.job.shape.gpus
        classes = {machines.gpu_class for machines in site.machines if machines.gpus}
        if need > max((lent_gpus(site, c) + room[c] for c in classes), default=0):
            yield f"nothing is gained for {uid} at {name}"


def _left(job: Job, site: str, left: dict[tuple[str, str], int]) -> int:
    if (job.uid, site) in left:
        return left[job.uid, site]
    held = next((h for h in job.holdings if h.site == site), None)
    return held.stopping_to if held is not None and held.stopping else 1 << 30


def _beyond_budget(tally: Tally) -> Iterator[str]:
    caused = Counter(
        _account(tally.jobs[stop.in_favour_of])
        for stop in tally.decided.stops
        if stop.in_favour_of and not stop.workers
    )
    for (name, institution), times in caused.items():
        pool = tally.pools[name]
        if times + pool.recent_preemptions.get(institution, 0) > pool.preemption.max_per_hour:
            yield f"{institution} preempts {times} times in {name}"
