"""Who belongs to a pool: a table, the oracle, and that the status and the planner say the same."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from e2e import lawful
from hansa.api.places import BLOCS
from hansa.model.snapshot import Job, Machines, Pool, Shape, Site, Snapshot
from hansa.placement.planner import plan
from hansa.placement.rules.membership import is_member
from hansa.reconcile.hub.pools import parse_pool
from hansa.reconcile.hub.status.nodes_and_pools import pool_status
from tests.residency_kit import EVERYWHERE

L40S = Machines(1, 4, "nvidia-l40s", 48 << 30, 64_000, 256 << 30)
NAMES = ("tartu", "riga", "lisbon", "azores", "oslo", "recife")
STANDS = ("EE", "LV", "PT", "PT-20", "NO", "BR")


def site(name="tartu", jurisdiction="EE"):
    return Site(name, name, name, jurisdiction, frozenset({jurisdiction}), machines=(L40S,))


SITES = tuple(map(site, NAMES, STANDS))
CASES = {
    "all": ({}, NAMES),
    "named": ({"names": ["tartu", "recife"]}, ("tartu", "recife")),
    "nobody is named so": ({"names": ["atlantis"]}, ()),
    "a country": ({"jurisdictions": ["LV"]}, ("riga",)),
    "regions are in their country": ({"jurisdictions": ["PT"]}, ("lisbon", "azores")),
    "a country is not in its region": ({"jurisdictions": ["PT-20"]}, ("azores",)),
    "a bloc": ({"jurisdictions": ["EU"]}, ("tartu", "riga", "lisbon", "azores")),
    "a bloc and a country": ({"jurisdictions": ["Baltic", "BR"]}, ("tartu", "riga", "recife")),
    "the world": ({"jurisdictions": ["World"]}, NAMES),
    "both lists": ({"names": ["tartu", "recife"], "jurisdictions": ["EU"]}, ("tartu",)),
}


def pool_of(nodes):
    return parse_pool(
        {"metadata": {"name": "league"}, "spec": {"nodes": nodes, "residency": EVERYWHERE}}
    )


def shown(pool, sites=SITES):
    """How many members the pool's status tells of."""
    return pool_status(pool, Snapshot(0, sites, (pool.pool,), ()), (), {}, 0)["nodes"]


def used(pool, sites=SITES):
    """Names of the sites that the planner uses when there is work of the pool for all GPUs."""
    jobs = tuple(gang(f"job-{number:02d}") for number in range(len(sites) * L40S.gpus))
    return {placed.site for placed in plan(Snapshot(0, sites, (pool.pool,), jobs)).placements}


def gang(uid="a"):
    return Job(uid, uid, "clinic", "league", Shape(1, 1, cpu_millis=1000), 0)


@pytest.mark.parametrize("case", CASES)
def test_who_belongs(case):
    nodes, expected = CASES[case]
    pool = pool_of(nodes)

    assert tuple(one.name for one in SITES if is_member(one, pool.pool)) == expected
    assert shown(pool) == len(expected)
    assert used(pool) == set(expected)


def test_a_pool_over_the_eu_shows_its_estonian_node_and_places_there():
    pool, job = pool_of({"jurisdictions": ["EU"]}), gang()

    assert shown(pool, (site(),)) == 1
    (placed,) = plan(Snapshot(0, (site(),), (pool.pool,), (job,))).placements
    assert (placed.job_uid, placed.site) == (job.uid, "tartu")


PLACES = sorted({*STANDS, *BLOCS, "US", "PT-11"})


@given(
    st.lists(st.sampled_from(STANDS), min_size=1, max_size=6),
    st.none() | st.sets(st.sampled_from(NAMES)),
    st.none() | st.sets(st.sampled_from(PLACES), min_size=1, max_size=3),
)
def test_members_shown_are_the_nodes_that_the_planner_uses(stands, names, places):
    sites = tuple(map(site, NAMES, stands))
    chosen = Pool(
        "league",
        site_names=None if names is None else frozenset(names),
        site_jurisdictions=None if places is None else frozenset(places),
    )
    pool = replace(pool_of({}), pool=chosen)

    members = {one.name for one in sites if lawful.is_member(one, chosen)}
    assert used(pool, sites) == members
    assert shown(pool, sites) == len(members)
