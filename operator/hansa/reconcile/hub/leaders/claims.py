"""How leaders divide the pools by Leases: no pool is ever led by two.

The main hub stands for one Lease, a pool hub for one Lease a pool, named after both. A pool's Lease is a
claim that outlives its holder: the main hub never leads a pool that has one. Who takes a pool from
another says so first and looks second: a pool hub writes its Lease, then reads the main hub's; the main
hub writes into its own which pools it leaves to others, then lists theirs. Whoever is second sees the
other's word, and does not lead (Dekker's algorithm, on a store that is linearisable).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hansa.reconcile.hub.leaders.division import Division

POOLS_ANNOTATION = "hansa.dev/pools"
"""On a pool's Lease: all pools of the leader that claims it."""
ELSEWHERE_ANNOTATION = "hansa.dev/pools-led-elsewhere"
"""On the main hub's Lease: the pools that it does not lead."""
BY_ANNOTATION = "hansa.dev/pools-led-elsewhere-by"
"""On the main hub's Lease: which replica says so. It is no word of another that holds the Lease later."""


def claim_name(lease: str, pool: str) -> str:
    """Return the name of a pool's Lease. ``lease``: the main hub's.

    >>> claim_name("hansa-hub", "north")
    'hansa-hub.north'
    """
    return f"{lease}.{pool}"


def claims_of(leases: Iterable[Mapping[str, Any]], lease: str) -> dict[str, frozenset[str]]:
    """Return pool → all pools of the leader that claims it, from the Leases of the hub's namespace."""
    prefix, found = claim_name(lease, ""), dict[str, frozenset[str]]()
    for thing in leases:
        pool = thing["metadata"]["name"].removeprefix(prefix)
        if pool != thing["metadata"]["name"]:
            found[pool] = _names(thing, POOLS_ANNOTATION) | {pool}
    return found


def annotations_of(division: Division, identity: str) -> dict[str, str]:
    """Return what a hub writes on its Leases. ``identity``: the replica's, as their holder."""
    if division.is_main:
        elsewhere = " ".join(sorted(division.claims))
        return {ELSEWHERE_ANNOTATION: elsewhere, BY_ANNOTATION: identity}
    return {POOLS_ANNOTATION: " ".join(sorted(division.own))}


def led_elsewhere(main_lease: Mapping[str, Any]) -> frozenset[str]:
    """Return the pools that the main hub's Lease says it does not lead."""
    return _names(main_lease, ELSEWHERE_ANNOTATION)


def left_by_holder(main_lease: Mapping[str, Any]) -> frozenset[str]:
    """Return the pools that the holder of the main hub's Lease does not lead.

    A hub of a version that knows of no other leaders takes the Lease as well, in a rollback, and leaves what
    stands on it: it leads them all.
    """
    holder = (main_lease.get("spec") or {}).get("holderIdentity")
    said_by = (main_lease["metadata"].get("annotations") or {}).get(BY_ANNOTATION)
    return led_elsewhere(main_lease) if holder and said_by == holder else frozenset()


def given_back_of(leases: Iterable[Mapping[str, Any]], lease: str) -> frozenset[str]:
    """Return the pools that the main hub's Lease leaves to others, and that nobody claims any more."""
    leases = [*leases]
    left = [led_elsewhere(one) for one in leases if one["metadata"]["name"] == lease]
    return frozenset[str]().union(*left) - claims_of(leases, lease).keys()


def _names(lease: Mapping[str, Any], annotation: str) -> frozenset[str]:
    said = (lease["metadata"].get("annotations") or {}).get(annotation)
    return frozenset(said.split()) if isinstance(said, str) else frozenset()
