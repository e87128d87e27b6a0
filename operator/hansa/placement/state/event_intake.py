"""What changes while jobs run: what follows is worked out anew, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from operator import attrgetter
from typing import TypeVar

from hansa.model.events import (
    Event,
    JobArrived,
    JobGone,
    PoolChanged,
    PoolGone,
    SiteChanged,
    SiteGone,
)
from hansa.model.snapshot import Job, Pool, PreemptionRule, ResidencyRule, Site, Snapshot
from hansa.placement.kernel import quota
from hansa.placement.rules.fleet import is_open, sane_price
from hansa.placement.rules.quota_tree import build_ledger
from hansa.placement.state.league import League

_Thing = TypeVar("_Thing", Job, Site, Pool)
_room = attrgetter("site", "workers", "gpu_class")


@dataclass(frozen=True, slots=True)
class News:
    """Events sorted by what they are about; of several about one thing the last counts."""

    arrived: tuple[Job, ...] = ()
    gone: tuple[str, ...] = ()
    """UIDs of jobs."""
    sites: tuple[Site, ...] = ()
    lost_sites: frozenset[str] = frozenset()
    pools: tuple[Pool, ...] = ()
    lost_pools: frozenset[str] = frozenset()

    @classmethod
    def of(cls, events: Iterable[Event]) -> News:
        """Sort events."""
        jobs, sites, pools = (
            dict[str, Job | None](),
            dict[str, Site | None](),
            dict[str, Pool | None](),
        )
        for event in events:
            match event:
                case JobArrived(job):
                    jobs[job.uid] = job
                case JobGone(uid):
                    jobs[uid] = None
                case SiteChanged(site):
                    sites[site.name] = site
                case SiteGone(name):
                    sites[name] = None
                case PoolChanged(pool):
                    pools[pool.name] = pool
                case PoolGone(name):
                    pools[name] = None
        if not sites and not pools:
            return cls(_there(jobs), tuple(_gone(jobs)))
        return cls(
            arrived=_there(jobs),
            gone=tuple(_gone(jobs)),
            sites=_there(sites),
            lost_sites=frozenset(_gone(sites)),
            pools=_there(pools),
            lost_pools=frozenset(_gone(pools)),
        )

    @property
    def is_of_places(self) -> bool:
        """Whether sites or pools are not what they were."""
        return bool(self.sites or self.lost_sites or self.pools or self.lost_pools)

    def applied_to(self, base: Snapshot) -> Snapshot:
        """The snapshot with the sites and pools as they are now."""
        if not self.is_of_places:
            return base
        sites, pools = self.lost_sites | _names(self.sites), self.lost_pools | _names(self.pools)
        return replace(
            base,
            sites=(*(site for site in base.sites if site.name not in sites), *self.sites),
            pools=(*(pool for pool in base.pools if pool.name not in pools), *self.pools),
        )


def _there(things: Mapping[str, _Thing | None]) -> tuple[_Thing, ...]:
    return tuple(thing for thing in things.values() if thing is not None)


def _gone(things: Mapping[str, object]) -> Iterator[str]:
    return (name for name, thing in things.items() if thing is None)


def _names(things: Iterable[Site] | Iterable[Pool]) -> frozenset[str]:
    return frozenset(thing.name for thing in things)


# Jobs.


def amend(league: League, job: Job) -> bool:
    """Take in what is new about a job that keeps its room, or its place among the waiting.

    False, and nothing is done, where it is another job than the books have.
    """
    record = league.records.get(job.uid)
    if record is None:
        return False
    if replace(record.job, holdings=job.holdings, yielded=job.yielded) != job:
        return False
    if record.job.holdings == job.holdings:
        league.note_yielded(record, job.yielded)
        return True
    booked = [held.holding for held in record.held]
    if not job.holdings or [*map(_room, booked)] != [*map(_room, job.holdings)]:
        return False
    league.amend(job)
    return True


def with_record(league: League, job: Job) -> Job:
    """A job with what it is known to have yielded last, where it does not say so itself.

    A stop is booked before anybody has written it down: till then the job tells of the one before,
    and of no GPU class ever.
    """
    known, told = league.yielded.get(job.uid), job.yielded
    if known is None or job.is_orphan:
        return job
    if told is None or told.since_s < known.since_s:
        return replace(job, yielded=known)
    if (told.to, told.site, told.gpu_class) == (known.to, known.site, ""):
        return replace(job, yielded=replace(told, gpu_class=known.gpu_class))
    return job


def is_guest(league: League, job: Job) -> bool:
    """Whether a job is the first of its institution in a pool without shares."""
    is_known = (job.pool, job.institution) in league.ledger.leaf
    return not is_known and job.pool in league.pools and not league.pools[job.pool].shares


# Sites and pools.


class Reach(IntEnum):
    """How much of the league has to be planned anew after news of sites and pools."""

    NAMED = 0
    """What the news names."""
    ALL = 1
    """Everything that waits."""
    LAYOUT = 2
    """Everything, in a league compiled anew."""


def take_in_places(league: League, news: News) -> Reach:
    """Take in sites and pools; nothing is done where the league has to be compiled anew."""
    if not news.is_of_places:
        return Reach.NAMED
    if not _is_light(league, news):
        return Reach.LAYOUT
    for site in news.sites:
        swap_site(league, league.fleet.site_index[site.name], site)
    reach = Reach.NAMED
    for pool in news.pools:
        if _rules(league.pools[pool.name]) != _rules(pool):
            reach = Reach.ALL
        swap_pool(league, pool)
    return reach


def _is_light(league: League, news: News) -> bool:
    """Whether machines, accounts and caps stay as they are laid out."""
    known, has_budgets = league.fleet.site_index, league.kinds.has_budgets
    if news.lost_sites or news.lost_pools:
        return False
    for site in news.sites:
        old = league.fleet.sites[known[site.name]] if site.name in known else None
        if old is None or not is_light_site(old, site, has_budgets=has_budgets):
            return False
    pools = ((league.pools.get(pool.name), pool) for pool in news.pools)
    return all(old is not None and is_light_pool(old, pool) for old, pool in pools)


def count_once(league: League, pools: Iterable[Pool]) -> None:
    """Forget preemptions that a pool now counts itself: the oldest of each institution first."""
    for pool in pools:
        old = league.pools.get(pool.name)
        before = {} if old is None else old.recent_preemptions
        for institution, count in pool.recent_preemptions.items():
            counted, left = count - before.get(institution, 0), []
            for row in league.preempted:
                if row[1:] == (pool.name, institution) and counted > 0:
                    counted -= 1
                else:
                    left.append(row)
            league.preempted = left


def is_light_site(old: Site, new: Site, *, has_budgets: bool) -> bool:
    """Whether two states of a site differ only in prices and in whether it takes work."""
    if old.gpu_hour_price != new.gpu_hour_price or old.cpu_hour_price != new.cpu_hour_price:
        prices = (*new.gpu_hour_price.values(), new.cpu_hour_price)
        if not all(sane_price(price)[1] for price in prices) or has_budgets:
            return False
    return _plain(old) == _plain(new)


def _plain(site: Site) -> Site:
    return replace(
        site, unavailable=None, unavailable_message="", draining=False, policy_generation=0,
        gpu_hour_price={}, cpu_hour_price=0,
    )  # fmt: skip


def swap_site(league: League, index: int, site: Site) -> None:
    """Take in a site that changed only in prices or in whether it takes work."""
    fleet, mine = league.fleet, league.fleet.cells_of_site[index]
    cells, price = list(fleet.cells), fleet.price.copy()
    for at in mine:
        cell = cells[at]
        asked = site.gpu_hour_price.get(cell.gpu_class, 0) if cell.has_gpus else site.cpu_hour_price
        cells[at] = replace(cell, price=sane_price(asked)[0])
        price[at] = cells[at].price
    sites = (*fleet.sites[:index], site, *fleet.sites[index + 1 :])
    is_repriced = bool((price != fleet.price).any())
    league.fleet = replace(fleet, sites=sites, cells=tuple(cells), price=price)
    league.rules.fleet = league.fleet
    league.laid_out += 1
    league.revision += 1
    league.open_sites.forget()
    league.supply.cell_open[mine.start : mine.stop] = int(is_open(site))
    if is_repriced:
        league.tariff.reprice(league.fleet)


def is_light_pool(old: Pool, new: Pool) -> bool:
    """Whether two states of a pool have the same sites, caps, institutions and cohorts."""
    return _frame(old) == _frame(new) and _tree(old) == _tree(new)


def _frame(pool: Pool) -> Pool:
    return replace(
        pool, shares=(), ceiling=ResidencyRule(), overlays={}, preemption=PreemptionRule(),
        assurance=0, recent_preemptions={}, usage_half_life_s=None,
    )  # fmt: skip


def _tree(pool: Pool) -> dict[str, str]:
    return {share.institution: share.cohort for share in reversed(pool.shares)}


def swap_pool(league: League, pool: Pool) -> None:
    """Take in a pool that is light against the one there was: shares, law, assurance, preemption."""
    old = league.pools[pool.name]
    league.pools[pool.name] = pool
    league.revision += 1
    if (old.shares, old.usage_half_life_s) != (pool.shares, pool.usage_half_life_s):
        _reckon(league)
    if _rules(old) == _rules(pool):
        return
    if (old.ceiling, old.overlays, old.assurance) != (pool.ceiling, pool.overlays, pool.assurance):
        league.kinds.rejudge(old)
        league.tariff.forget()
        league.open_sites.forget()
    league.laid_out += 1
    league.rescreen(pool.name)


def _rules(pool: Pool) -> Pool:
    """The pool without what its work has used and caused."""
    shares = tuple(replace(share, past_usage_gpu_s=0) for share in pool.shares)
    return replace(pool, shares=shares, recent_preemptions={})


def _reckon(league: League) -> None:
    """The tree of shares as the pools have it now, charged with what is held."""
    held = league.ledger.accounts
    league.ledger = build_ledger(league.pools, league.totals, league.ledger.leaf)
    accounts = league.ledger.accounts
    for now, before in (
        (accounts.gpus, held.gpus),
        (accounts.cpu, held.cpu),
        (accounts.memory, held.memory),
    ):
        now[:] = before
    for leaf in league.ledger.leaves.tolist():
        quota.charge_quota(accounts, leaf, int(held.gpus[leaf]))
