"""Who is served next: institutions by weighted dominant share, their jobs by rank.

Institutions of a pool hang in a tree of cohorts. The kernel walks it from the root: below nominal
first, then the smallest weighted dominant share above nominal (DRF, NSDI 2011; as Kueue KEP-1714).
Inside an institution: priority, then value density that grows with waiting (in steps of four), then
large gangs, then first come.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hansa.model.plan import Notice
from hansa.model.reasons import Reason
from hansa.model.snapshot import Pool, Share
from hansa.placement.kernel.tables import HUGE, PPM, UNLIMITED, Accounts
from hansa.placement.rules.fleet import Ints

POOL_KIND = "ComputePool"
SUPER_ROOT = 0


@dataclass(frozen=True, slots=True)
class Totals:
    """What a pool's sites have together."""

    gpus: int
    cpu_millis: int
    memory_mib: int


@dataclass(frozen=True, slots=True)
class _Node:
    parent: int
    depth: int
    pool: str
    share: Share | None


@dataclass(frozen=True, slots=True)
class Ledger:
    """The tree of shares of all pools, and where each institution hangs in it."""

    accounts: Accounts
    leaf: Mapping[tuple[str, str], int]
    """(pool, institution) → account."""
    leaves: Ints
    """Accounts of institutions."""
    pool: Ints
    """Per account: the account of its pool; 0 at the root of all."""
    ceiling: Ints
    """Per account: the most GPUs an institution could ever hold; 0 at inner accounts."""
    notices: tuple[Notice, ...]

    def charged(self, accounts: Accounts) -> Ledger:
        """The same tree with other charges."""
        return Ledger(accounts, self.leaf, self.leaves, self.pool, self.ceiling, self.notices)


def build_ledger(
    pools: Mapping[str, Pool],
    totals: Mapping[str, Totals],
    guests: Iterable[tuple[str, str]],
) -> Ledger:
    """Build the tree. ``guests`` are (pool, institution) of jobs in pools that name no shares."""
    nodes = [_Node(-1, 0, "", None)]
    leaf: dict[tuple[str, str], int] = {}
    notices: list[Notice] = []
    members: dict[str, set[str]] = {name: set() for name in pools}
    for pool_name, institution in guests:
        members.setdefault(pool_name, set()).add(institution)
    for name in sorted(pools):
        pool = pools[name]
        shares = pool.shares or tuple(Share(inst) for inst in sorted(members[name]))
        notices += _misfits(pool)
        _hang(nodes, leaf, pool, {share.institution: share for share in reversed(shares)})
    accounts = _accounts(nodes, pools, totals)
    leaves = np.array(sorted(leaf.values()), np.int64)
    ceiling = np.zeros(len(nodes), np.int64)
    ceiling[leaves] = [_ceiling(accounts, at) for at in leaves.tolist()]
    pool_of = np.zeros(len(nodes), np.int64)
    for at, node in enumerate(nodes):
        pool_of[at] = at if node.depth == 1 else pool_of[max(0, node.parent)]
    return Ledger(accounts, leaf, leaves, pool_of, ceiling, tuple(notices))


def _hang(
    nodes: list[_Node], leaf: dict[tuple[str, str], int], pool: Pool, shares: Mapping[str, Share]
) -> None:
    root = len(nodes)
    nodes.append(_Node(SUPER_ROOT, 1, pool.name, None))
    cohorts = {"": root}
    for name in sorted({share.cohort for share in shares.values()} | set(pool.cohort_parents)):
        for cohort, parent in reversed(_lineage(pool, name)):
            if cohort not in cohorts:
                above = cohorts[parent]
                cohorts[cohort] = len(nodes)
                nodes.append(_Node(above, nodes[above].depth + 1, pool.name, None))
    for institution in sorted(shares):
        above = cohorts[shares[institution].cohort]
        leaf[pool.name, institution] = len(nodes)
        nodes.append(_Node(above, nodes[above].depth + 1, pool.name, shares[institution]))


def _lineage(pool: Pool, cohort: str) -> list[tuple[str, str]]:
    """(cohort, parent) up to the pool; where the chain closes on itself it ends at the pool."""
    chain: list[tuple[str, str]] = []
    seen = {""}
    while cohort not in seen:
        seen.add(cohort)
        parent = pool.cohort_parents.get(cohort, "")
        chain.append((cohort, "" if parent in seen else parent))
        cohort = parent
    return chain


def _accounts(
    nodes: list[_Node], pools: Mapping[str, Pool], totals: Mapping[str, Totals]
) -> Accounts:
    n = len(nodes)
    col = {name: np.zeros(n, np.int64) for name in Accounts._fields}
    children = [0] * n
    for at, node in enumerate(nodes):
        total = totals[node.pool] if node.pool else Totals(0, 0, 0)
        share = node.share
        col["parent"][at], col["depth"][at] = node.parent, node.depth
        col["limit"][at] = UNLIMITED
        col["total_gpus"][at], col["total_cpu"][at] = total.gpus, total.cpu_millis
        col["total_memory"][at] = total.memory_mib
        if node.parent >= 0:
            children[node.parent] += 1
        if share is not None:
            col["nominal"][at] = col["quota"][at] = max(0, share.nominal_gpus)
            col["weight"][at] = max(1, share.weight)
            col["past"][at] = _past_ppm(pools[node.pool], share, total)
            if share.borrowing_limit is not None:
                col["limit"][at] = max(0, share.borrowing_limit)
            if share.lending_limit is not None:
                lent = max(0, share.lending_limit)
                col["guaranteed"][at] = max(0, col["quota"][at] - lent)
    _sum_up(nodes, col)
    col["queue"][:] = [-1 if node.share is None else 0 for node in nodes]
    col["heap_lo"][:] = np.cumsum([0, *children[:-1]])
    col["heap_key"], col["heap_item"] = np.zeros(n, np.int64), np.zeros(n, np.int64)
    return Accounts(**col)


def _sum_up(nodes: list[_Node], col: dict[str, Ints]) -> None:
    """Parents get what their children lend; a pool also what no institution was promised."""
    kept = col["guaranteed"].copy()
    for at in range(len(nodes) - 1, 0, -1):
        if nodes[at].depth == 1:
            spare = col["total_gpus"][at] - col["nominal"][at]
            # Where nobody keeps anything back, what is there is the only limit.
            col["quota"][at] = col["quota"][at] + max(0, spare) if kept[at] else HUGE
        parent = nodes[at].parent
        kept[parent] += kept[at]
        if parent == SUPER_ROOT:
            continue
        col["quota"][parent] += col["quota"][at] - col["guaranteed"][at]
        for name in ("nominal", "weight", "past"):
            col[name][parent] += col[name][at]
    col["weight"][:] = np.maximum(col["weight"], 1)


def _past_ppm(pool: Pool, share: Share, total: Totals) -> int:
    """Past use as a steady holding: use that fades with half-life H adds up to ``use · H / ln 2``."""
    if not pool.usage_half_life_s or share.past_usage_gpu_s <= 0:
        return 0
    gpus = share.past_usage_gpu_s * math.log(2) / pool.usage_half_life_s
    return int(gpus * PPM / max(1, total.gpus))


def _ceiling(accounts: Accounts, leaf: int) -> int:
    """Most GPUs an institution could hold in an empty pool: cohorts keep nothing back."""
    root = leaf
    while accounts.depth[root] > 1:
        root = accounts.parent[root]
    most = int(accounts.guaranteed[leaf]) + int(accounts.quota[root])
    limit = int(accounts.limit[leaf])
    return most if limit < 0 else min(most, int(accounts.quota[leaf]) + limit)


def _misfits(pool: Pool) -> list[Notice]:
    found = [
        f"the share of {share.institution} has a negative size or a weight below 1; counted as the"
        " least allowed until it is corrected"
        for share in pool.shares
        if min(
            share.nominal_gpus,
            share.weight - 1,
            share.borrowing_limit or 0,
            share.lending_limit or 0,
        )
        < 0
    ]
    found.extend(
        f"cohort {cohort} lies inside itself; it is hung under the pool until a parent is corrected"
        for cohort in sorted(pool.cohort_parents)
        if _is_circular(pool, cohort)
    )
    return [Notice(POOL_KIND, pool.name, Reason.MISCONFIGURED, message) for message in found]


def _is_circular(pool: Pool, cohort: str) -> bool:
    at = pool.cohort_parents.get(cohort, "")
    for _ in pool.cohort_parents:
        if at in ("", cohort):
            break
        at = pool.cohort_parents.get(at, "")
    return at == cohort


def response_ratio(waited_s: Ints, runtime_s: Ints) -> npt.NDArray[np.float64]:
    """Second key inside a priority, larger first: (waited + run) / run.

    Short work goes first and long work ages into its turn (highest response ratio next).
    """
    return (waited_s + runtime_s) / np.maximum(1, runtime_s)
