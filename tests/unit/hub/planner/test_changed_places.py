"""Pools and nodes that change, come and go: the kept planner takes them in, and plans as one made anew."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hansa.adapters.keys import Ed25519Signer
from hansa.api.kinds import COMPUTEPOOL, SOVEREIGNNODE
from hansa.hub.planner.usage_history import EVERY_S
from hansa.placement.incremental import IncrementalPlanner
from hansa.reconcile.hub.usage_history import JobPast
from tests.residency_kit import stands_in
from tests.unit.hub import kit
from tests.unit.reconcile.hub.hub_objects import ACCEPTED

OTHER_KEY = Ed25519Signer.generate().public_key
ROOM = kit.lent(machines=1, each=4)
HALF = {"clinic": 2, "university": 2}
MOST = {"clinic": 0, "university": 8}


def change_pool(store, nominal=HALF, *, name="league", **spec):
    shares = [{"institution": of, "nominalGpus": gpus} for of, gpus in nominal.items()]
    kit.pool(store, name, institutions=shares, **spec)


@pytest.fixture
def store(clock):
    """Two nodes, and a pool that counts past use; more work of two institutions than there is room."""
    store = kit.Store(clock)
    for name in ("tartu", "riga"):
        kit.node(store, name, ROOM)
    kit.namespace(store)
    kit.namespace(store, "lab", "university")
    change_pool(store, usageHalfLifeHours=24)
    for number in range(6):
        kit.submit(store, f"c{number}", **kit.gpus(2))
        kit.submit(store, f"l{number}", space="lab", **kit.gpus(2))
    return store


@pytest.fixture
def full(hub):
    """Some of it runs, the rest waits, and the last full plan is long ago."""
    hub.settle_down()
    for path in kit.grants(hub.store):
        kit.answer(hub.store, path, ACCEPTED)
    kit.later(hub, EVERY_S + 1)
    assert hub.plans.plan.waiting
    return hub


def made_anew(hub):
    """A planner made of what the kept one knows."""
    snapshot = hub.plans.snapshot
    return IncrementalPlanner(replace(snapshot, sites=tuple(reversed(snapshot.sites))))


def alike(plan):
    """A plan, but for what bands past errors put around its estimates."""
    told = [(said.job_uid, said.reason, said.message, said.position) for said in plan.waiting]
    return plan.placements, plan.stops, told


def assert_plans_as_made_anew(hub):
    now_s = int(hub.clock.now())
    assert alike(hub.plans._planner.replan(now_s)) == alike(made_anew(hub).replan(now_s))


def ended(hub, name, **more):
    """A job of the past: what it used, and whom it was stopped for."""
    past = JobPast("clinic", "league", 1, 3600, 700, 700_000, hub.clock.now(), **more)
    hub.plans._past._jobs[name] = past
    if past.preempted:
        hub.plans._past._victims[name] = past


def test_what_a_pool_counts_changes_and_neither_planner_nor_league_is_made_anew(full):
    planner, league, plan = full.plans._planner, full.plans._planner.league, full.plans.plan
    ended(full, "past", preempted=(("university", full.clock.now()),))
    full.plans.full_due()
    kit.later(full, EVERY_S + 1)
    (pool,) = full.plans.snapshot.pools
    assert dict(pool.recent_preemptions) == {"university": 1}
    assert [share.past_usage_gpu_s > 0 for share in pool.shares] == [True, False]
    assert full.plans.plan is not plan
    assert full.plans._planner is planner
    assert planner.league is league
    assert league.pools["league"] == pool
    assert_plans_as_made_anew(full)


def test_a_changed_quota_is_taken_in_without_compiling_the_league_anew(full):
    planner, league = full.plans._planner, full.plans._planner.league
    change_pool(full.store, MOST, usageHalfLifeHours=24)
    kit.later(full)
    assert full.plans._planner is planner
    assert planner.league is league
    shares = {share.institution: share.nominal_gpus for share in league.pools["league"].shares}
    assert shares == MOST
    accounts, leaf = league.ledger.accounts, league.ledger.leaf
    assert accounts.nominal[leaf["league", "university"]] == 8
    assert_plans_as_made_anew(full)


PLACES = {
    "a node joins": lambda store: kit.node(store, "porto", ROOM),
    "a node grows": lambda store: kit.node(store, "riga", kit.lent(machines=2, each=4)),
    "a node leaves": lambda store: store.remove(SOVEREIGNNODE.path(name="riga")),
    "a pool is made": lambda store: change_pool(store, name="second"),
    "a pool is deleted": lambda store: store.remove(COMPUTEPOOL.path(name="league")),
    "an institution gets a share": lambda store: change_pool(store, {**HALF, "navy": 1}),
    "a pool loses its law": lambda store: change_pool(store, residency=stands_in("LV")),
    "a node gets another key": lambda store: kit.node(store, "riga", ROOM, releaseKey=OTHER_KEY),
    "a node is accepted no more": lambda store: kit.node(store, "riga", ROOM, accepted="Rejected"),
}


@pytest.mark.parametrize("change", PLACES.values(), ids=PLACES)
def test_sites_and_pools_come_and_go_and_the_planner_stays(full, change):
    planner = full.plans._planner
    audit = {"audit": {"of": "c0", "epoch": 1, "node": "riga"}}
    kit.submit(full.store, "again", **kit.gpus(2), **audit)
    kit.later(full)
    change(full.store)
    kit.later(full)
    kit.later(full, 60)
    assert full.plans._planner is planner
    view = full.league.view
    there = {site.name: site for site in full.plans.snapshot.sites}
    assert there == {node.site.name: node.site for node in view.nodes.values()}
    pools = {pool.name for pool in full.plans.snapshot.pools}
    held = {job.pool for job in full.plans.snapshot.jobs if job.holdings}
    assert pools == {*view.catalog.pools} | held
    assert len(full.plans._jobs) > 1
    for uid, known in full.plans._jobs.items():
        assert full.plans._look(uid) == known
    assert_plans_as_made_anew(full)


BESIDE_THE_REQUESTS = {
    "law": {"residency": stands_in("LV")},
    "nodes": {"nodes": {"names": ["tartu"]}},
    "caps": {"caps": [{"dimension": "Operator", "maxPercent": 50}]},
    "preemption": {"preemption": {"policy": "LowerPriority"}},
    "past use": {"usageHalfLifeHours": 48},
}
OF_THE_REQUESTS = {
    "contract": {"disconnection": {"maxUnattendedSeconds": 60}},
    "overlays": {"overlays": [{"name": "adequate", "places": ["EE"]}]},
}


@pytest.fixture
def seen(full, monkeypatch):
    """UIDs of the jobs that are looked at, in turn."""
    index, seen = full.plans._job_index, list[str]()
    look = index.look

    def spy(uid, *more):
        seen.append(uid)
        return look(uid, *more)

    monkeypatch.setattr(index, "look", spy)
    return seen


@pytest.mark.parametrize("change", BESIDE_THE_REQUESTS | OF_THE_REQUESTS)
def test_who_waits_is_looked_at_anew_only_where_its_request_may_be_judged_otherwise(
    full, seen, change
):
    """With fifty thousand in the queue a look at each takes seconds."""
    spec = (BESIDE_THE_REQUESTS | OF_THE_REQUESTS)[change]
    change_pool(full.store, **{"usageHalfLifeHours": 24} | spec)
    full.hear()
    full.plan()
    assert len(seen) == (0 if change in BESIDE_THE_REQUESTS else len(full.plans.active))
    kit.later(full, 60)
    assert_plans_as_made_anew(full)


NODES = {
    "a node joins": lambda store: kit.node(store, "porto", ROOM),
    **{what: PLACES[what] for what in PLACES if "a node gets" in what or "no more" in what},
}


@pytest.mark.parametrize("change", NODES.values(), ids=NODES)
def test_of_a_node_that_speaks_otherwise_only_its_own_jobs_and_audits_are_looked_at(
    full, seen, change
):
    full.hear()
    full.plan()
    seen.clear()
    held = {"porto": set(), "riga": full.caches.granted_at({"riga"})}
    assert held["riga"]
    change(full.store)
    full.hear()
    full.plan()
    expected = held["porto" if change is NODES["a node joins"] else "riga"]
    assert set(seen) == expected


def test_a_preemption_that_the_pool_counts_by_now_is_not_counted_twice(full):
    planner, now_s = full.plans._planner, int(full.clock.now())
    mine = [(now_s, "league", "university"), (now_s, "league", "clinic")]
    planner.league.preempted = [*mine, mine[0]]
    ended(full, "past", preempted=(("university", full.clock.now()),))
    full.plans.full_due()
    kit.later(full)
    assert planner.league.preempted == [mine[1], mine[0]]
