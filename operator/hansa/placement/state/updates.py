"""Sites and pools that change while jobs run: what follows is worked out anew, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hansa.model.snapshot import Pool, PreemptionRule, ResidencyRule, Site
from hansa.placement.kernel import quota
from hansa.placement.rules.fleet import is_open, sane_price
from hansa.placement.rules.quota_tree import build_ledger
from hansa.placement.state.league import League


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


def swap_sites(league: League, sites: Sequence[Site]) -> bool:
    """Take in changed sites; False, and nothing is done, when the league has to be compiled anew."""
    known, has_budgets = league.fleet.site_index, league.kinds.has_budgets
    for site in sites:
        old = league.fleet.sites[known[site.name]] if site.name in known else None
        if old is None or not is_light_site(old, site, has_budgets=has_budgets):
            return False
    for site in sites:
        swap_site(league, known[site.name], site)
    return True


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
    league.open_sites.clear()
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
    _reckon(league)
    if (old.ceiling, old.overlays, old.assurance) != (pool.ceiling, pool.overlays, pool.assurance):
        league.kinds.rejudge(old)
        league.tariff.forget()
        league.open_sites.clear()
    league.reclassify(pool.name)


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
