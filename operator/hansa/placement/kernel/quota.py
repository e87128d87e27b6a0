# mypy: disable-error-code="no-any-return"
"""Quotas, caps and weighted dominant shares, and the heaps that keep institutions in order.

Part of the kernel: see ``loop`` for how it is written and why.
"""

from __future__ import annotations

from hansa.placement.kernel.tables import (
    HUGE,
    MAX_SHARE,
    PPM,
    RANK_BITS,
    RANK_MASK,
    Accounts,
    Caps,
    Jobs,
    Kinds,
)


def cap_room(caps: Caps, kinds: Kinds, kind: int, cell: int) -> int:
    """GPUs that the caps of the kind's pool still allow at a cell."""
    room = HUGE
    base = (kinds.cap_base[kind] + cell) * 3
    for at in range(base, base + 3):
        cap = caps.row[at]
        if cap >= 0 and caps.left[cap] < room:
            room = caps.left[cap]
    return room


def charge_caps(caps: Caps, kinds: Kinds, kind: int, cell: int, gpus: int) -> None:
    """Count GPUs against every cap that covers the cell."""
    base = (kinds.cap_base[kind] + cell) * 3
    for at in range(base, base + 3):
        cap = caps.row[at]
        if cap >= 0:
            caps.left[cap] -= gpus


def quota_allows(accounts: Accounts, account: int, gpus: int) -> bool:
    """Whether an institution may take this many more GPUs: nominal, borrowing, lending limits."""
    need = gpus
    at = account
    while need > 0:
        limit = accounts.limit[at]
        if limit >= 0 and accounts.used[at] + need > accounts.quota[at] + limit:
            return False
        if accounts.depth[at] == 1:
            return accounts.used[at] + need <= accounts.quota[at]
        need -= max(0, accounts.guaranteed[at] - accounts.used[at])
        at = accounts.parent[at]
    return True


def charge_quota(accounts: Accounts, account: int, gpus: int) -> None:
    """Count GPUs (positive) up the tree; what is inside a guaranteed part stays below."""
    need = gpus
    at = account
    while need > 0 and at >= 0:
        local = max(0, accounts.guaranteed[at] - accounts.used[at])
        accounts.used[at] += need
        need -= local
        at = accounts.parent[at]


def refund_quota(accounts: Accounts, account: int, gpus: int) -> None:
    """The reverse of ``charge_quota``."""
    back = gpus
    at = account
    while back > 0 and at >= 0:
        above = max(0, accounts.used[at] - accounts.guaranteed[at])
        accounts.used[at] -= back
        back = min(back, above)
        at = accounts.parent[at]


def charge_use(accounts: Accounts, account: int, gpus: int, cpu: int, memory: int) -> None:
    """Add (or with negative amounts take off) what an institution holds, up the tree."""
    at = account
    while at >= 0:
        accounts.gpus[at] += gpus
        accounts.cpu[at] += cpu
        accounts.memory[at] += memory
        at = accounts.parent[at]


def share_of(accounts: Accounts, account: int) -> int:
    """Weighted dominant share above nominal; 0 below nominal. (As Kueue KEP-1714.)."""
    if accounts.gpus[account] < accounts.nominal[account]:
        return 0
    gpus = max(1, accounts.total_gpus[account])
    dominant = max(
        accounts.gpus[account] * PPM // gpus,
        accounts.cpu[account] * PPM // max(1, accounts.total_cpu[account]),
        accounts.memory[account] * PPM // max(1, accounts.total_memory[account]),
    )
    over = dominant + accounts.past[account] - accounts.nominal[account] * PPM // gpus
    return min(MAX_SHARE, 1 + max(0, over) * 1000 // accounts.weight[account])


def tier_of(accounts: Accounts, account: int, gpus: int) -> int:
    """0 for work that stays within its institution's nominal share, 1 for work that borrows."""
    return 0 if accounts.gpus[account] + gpus <= accounts.nominal[account] else 1


def nominal_used(accounts: Accounts, account: int, more: int) -> int:
    """GPUs of its nominal share that an institution would use with so many ``more``."""
    return min(accounts.gpus[account] + more, accounts.nominal[account])


def sift(accounts: Accounts, lo: int, n: int) -> None:
    """Restore the heap after its top changed."""
    at = 0
    while True:
        child = 2 * at + 1
        if child >= n:
            return
        if child + 1 < n and accounts.heap_key[lo + child + 1] < accounts.heap_key[lo + child]:
            child += 1
        if accounts.heap_key[lo + at] <= accounts.heap_key[lo + child]:
            return
        key, item = accounts.heap_key[lo + at], accounts.heap_item[lo + at]
        accounts.heap_key[lo + at] = accounts.heap_key[lo + child]
        accounts.heap_item[lo + at] = accounts.heap_item[lo + child]
        accounts.heap_key[lo + child] = key
        accounts.heap_item[lo + child] = item
        at = child


def insert(accounts: Accounts, node: int, item: int, key: int) -> None:
    """Add a child to the heap of an inner account."""
    lo = accounts.heap_lo[node]
    at = accounts.heap_n[node]
    accounts.heap_n[node] += 1
    while at > 0 and accounts.heap_key[lo + (at - 1) // 2] > key:
        up = (at - 1) // 2
        accounts.heap_key[lo + at] = accounts.heap_key[lo + up]
        accounts.heap_item[lo + at] = accounts.heap_item[lo + up]
        at = up
    accounts.heap_key[lo + at] = key
    accounts.heap_item[lo + at] = item


def node_key(accounts: Accounts, jobs: Jobs, node: int) -> int:
    """Order key of an account: (share, rank of its best job); HUGE when nothing is left in it."""
    queue = accounts.queue[node]
    if queue >= 0:
        if jobs.queue_at[queue] >= jobs.queue_hi[queue]:
            return HUGE
        rank = jobs.rank[jobs.order[jobs.queue_at[queue]]]
        return share_of(accounts, node) << RANK_BITS | rank
    if accounts.heap_n[node] == 0:
        return HUGE
    top = accounts.heap_key[accounts.heap_lo[node]]
    if top >> RANK_BITS == 0:
        return top
    return max(1, share_of(accounts, node)) << RANK_BITS | (top & RANK_MASK)


def rekey(accounts: Accounts, jobs: Jobs, leaf: int) -> None:
    """After a leaf that was on top all the way up changed: bring its ancestors up to date."""
    child = leaf
    node = accounts.parent[leaf]
    while node >= 0:
        lo = accounts.heap_lo[node]
        key = node_key(accounts, jobs, child)
        if key == HUGE:
            accounts.heap_n[node] -= 1
            last = lo + accounts.heap_n[node]
            accounts.heap_key[lo] = accounts.heap_key[last]
            accounts.heap_item[lo] = accounts.heap_item[last]
        else:
            accounts.heap_key[lo] = key
        sift(accounts, lo, accounts.heap_n[node])
        child = node
        node = accounts.parent[node]


def build_heaps(accounts: Accounts, jobs: Jobs) -> None:
    """Fill every heap, children before parents: accounts are numbered parents first."""
    for node in range(len(accounts.parent)):
        accounts.heap_n[node] = 0
    for node in range(len(accounts.parent) - 1, 0, -1):
        key = node_key(accounts, jobs, node)
        if key != HUGE:
            insert(accounts, accounts.parent[node], node, key)
