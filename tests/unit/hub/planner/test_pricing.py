"""Shadow prices beside the planning loop: when they are found, and what becomes of what is found."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from hansa.api.kinds import SOVEREIGNNODE
from hansa.errors import Retryable
from hansa.hub.planner.pricing import EVERY_S, SHARE, Pricing
from hansa.model.snapshot import ShadowPrices
from hansa.placement.pricing import shadow_prices
from tests.unit.hub import kit

FOUND = ShadowPrices({("tartu", "nvidia-l40s"): 7.0, ("riga", "nvidia-l40s"): 3.0})


@pytest.fixture
def hub(monkeypatch):
    """A league that counts as large; its first plan has room for two of three jobs."""
    monkeypatch.setattr(shadow_prices, "SMALL_ARCS", 0)
    clock = kit.Time()
    store = kit.Store(clock)
    for name in ("tartu", "riga"):
        kit.node(store, name, kit.lent(machines=1, each=4))
    kit.namespace(store)
    kit.pool(store)
    hub = kit.HubKit(store, clock)
    for name in ("a", "b", "c"):
        kit.submit(store, name, **kit.gpus(4))
    hub.hear()
    hub.lead()
    hub.settle_down()
    return hub


def rush(hub, name):
    """There is a new node, and more work for it than it can take; planned a while later."""
    kit.node(hub.store, name, kit.lent(machines=1, each=4))
    for number in range(2):
        kit.submit(hub.store, f"{name}-{number}", **kit.gpus(4))
    later(hub)


def later(hub, seconds=EVERY_S):
    hub.clock.now_s += seconds
    for name in tuple(hub.caches.nodes):
        kit.beat(hub.store, name)
    hub.settle_down()


class Solver:
    """Takes its time on the hub's clock, lets something happen meanwhile, and says what it was told."""

    def __init__(self, hub, *, takes_s=0.0, meanwhile=None, error=None):
        self.hub, self.takes_s, self.meanwhile, self.error = hub, takes_s, meanwhile, error
        self.calls = 0

    async def __call__(self, market):
        self.calls += 1
        self.hub.clock.now_s += self.takes_s
        if self.meanwhile:
            self.meanwhile()
        if self.error:
            raise self.error
        assert len(market.kind)
        return FOUND


def pricing_of(hub, solver, **more):
    return Pricing(hub.plans, solver, clock=hub.clock, instruments=hub.instruments, **more)


def outcomes(hub):
    found = {}
    for family in hub.instruments.registry.collect():
        for sample in family.samples:
            if sample.name == "hansa_shadow_prices_total":
                found[sample.labels["outcome"]] = sample.value
    return found


async def test_what_the_solver_finds_is_planned_by(hub):
    """The real programme: a GPU that two of three get is worth something."""
    before, found = hub.plans.plan, shadow_prices.solve(hub.plans.market).prices
    assert max(found.cells.values()) > 0
    assert hub.plans.snapshot.prices is None
    await hub.pricing.step()
    assert hub.plans.snapshot.prices == found
    assert hub.plans._planner._league.tariff.scarcity.max() > 0
    assert (hub.pricing.age_s, outcomes(hub)) == (0, {"used": 1})
    later(hub, 60)
    assert hub.plans.plan is not before
    assert hub.pricing.age_s == 60


async def test_nothing_is_solved_while_nothing_can_be_placed(hub):
    """What was found when there was room is not forgotten."""
    solver = Solver(hub)
    pricing = pricing_of(hub, solver)
    for _ in range(3):
        await pricing.step()
        later(hub)
    assert hub.plans.market.is_sold_out
    assert (solver.calls, pricing.age_s) == (1, EVERY_S)
    assert hub.plans.snapshot.prices == FOUND
    rush(hub, "porto")
    await pricing.step()
    assert solver.calls == 2


async def test_nothing_is_solved_twice(hub):
    solver = Solver(hub)
    pricing = pricing_of(hub, solver)
    for _ in range(3):
        await pricing.step()
        hub.clock.now_s += EVERY_S
    assert (solver.calls, pricing.age_s) == (1, EVERY_S)


async def test_cells_without_room_keep_the_prices_they_had(hub):
    pricing = pricing_of(hub, Solver(hub))
    await pricing.step()
    rush(hub, "porto")
    hub.clock.now_s += EVERY_S
    pricing._solve = hub.solve
    market = hub.plans.market
    await pricing.step()
    found = shadow_prices.solve(market).prices.cells
    assert {site for site, _ in found} == {"porto"}
    assert hub.plans.snapshot.prices.cells == {**FOUND.cells, **found}


async def test_solving_takes_its_share_of_the_time_and_no_more(hub):
    solver = Solver(hub, takes_s=5)
    pricing = pricing_of(hub, solver)
    begun_s = hub.clock.now_s
    for number in range(40):
        await pricing.step()
        rush(hub, f"n{number}")
    share = 5 * solver.calls / (hub.clock.now_s - begun_s)
    assert solver.calls > 3
    assert SHARE * 0.7 < share < SHARE * 1.3


async def test_a_small_league_is_left_to_its_planner(hub, monkeypatch):
    solver = Solver(hub)
    pricing = pricing_of(hub, solver)
    await pricing.step()
    monkeypatch.setattr(shadow_prices, "SMALL_ARCS", 100)
    rush(hub, "porto")
    await pricing.step()
    assert (solver.calls, pricing.age_s) == (1, None)


async def test_a_failure_is_counted_and_the_last_prices_stay(hub):
    pricing = pricing_of(hub, Solver(hub))
    await pricing.step()
    failing = pricing_of(hub, Solver(hub, error=Retryable("ended with 137")))
    await failing.step()
    assert hub.plans.snapshot.prices == FOUND
    assert outcomes(hub) == {"used": 1, "failed": 1}
    failing._solve = Solver(hub)
    await failing.step()
    assert outcomes(hub) == {"used": 1, "failed": 1}
    hub.clock.now_s += EVERY_S
    await failing.step()
    assert outcomes(hub) == {"used": 2, "failed": 1}


async def test_a_solve_without_end_is_given_up(hub):
    ended = []

    async def endless(market):
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(len(market.kind))

    await pricing_of(hub, endless, longest_s=0).step()
    assert (ended, outcomes(hub), hub.plans.snapshot.prices) == ([3], {"failed": 1}, None)


async def test_who_leads_no_more_uses_nothing(hub):
    pricing = pricing_of(hub, Solver(hub, meanwhile=hub.step_down))
    await pricing.step()
    assert outcomes(hub) == {"dropped": 1}
    assert pricing.age_s is None
    hub.clock.now_s += EVERY_S
    await pricing.step()
    assert outcomes(hub) == {"dropped": 1}
    hub.lead()
    hub.settle_down()
    assert hub.plans.snapshot.prices is None


def a_node_gone(hub):
    hub.caches.nodes.drop(hub.store.objects.pop(SOVEREIGNNODE.path(name="riga")))


def another_pool(hub):
    kit.pool(hub.store, "second")


MEANWHILE = {"a node is gone": a_node_gone, "another pool": another_pool}


@pytest.mark.parametrize("case", MEANWHILE)
async def test_prices_of_a_league_as_it_was_are_used_for_what_is_left_of_it(hub, case):
    """Compiled anew while the solver worked, and once more after that: the planner stays."""
    planner = hub.plans._planner
    leagues = [planner._league]

    def happens():
        MEANWHILE[case](hub)
        hub.plans.league_changed()
        later(hub)

    await pricing_of(hub, Solver(hub, meanwhile=happens)).step()
    leagues.append(planner._league)
    kit.pool(hub.store, "third")
    later(hub)
    leagues.append(planner._league)
    assert hub.plans._planner is planner
    assert len({id(league) for league in leagues}) == 3
    fleet, scarcity = leagues[-1].fleet, leagues[-1].tariff.scarcity
    told = {
        fleet.sites[cell.site].name: price
        for cell, price in zip(fleet.cells, scarcity.tolist(), strict=True)
        if cell.gpu_class
    }
    assert told == {name: FOUND.cells[name, "nvidia-l40s"] for name in told}
    assert len(told) == len(hub.league.view.nodes)


async def test_it_looks_again_by_itself_and_ends_when_told_to(hub, monkeypatch):
    monkeypatch.setattr("hansa.hub.planner.pricing.EVERY_S", 0.0)
    asked, ended = asyncio.Event(), []

    async def endless(_):
        asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    task = asyncio.create_task(pricing_of(hub, endless).run())
    await asked.wait()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert ended == [True]
