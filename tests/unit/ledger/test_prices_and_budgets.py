"""Prices in, budgets out: over a scripted API server."""

from __future__ import annotations

import pytest

from hansa.errors import Terminal
from hansa.ledger.prices_and_budgets import PricesAndBudgets
from hansa.ledger.receipts.hub_view import HubView
from hansa.model.times import rfc3339
from hansa.reconcile.hub.charging.project_status import project_status
from tests.unit.ledger.hub_server import Server, project
from tests.unit.ledger.receipts.ledger_kit import heard
from tests.unit.reconcile.hub.hub_objects import NOW_S, node_manifest


class Clock:
    def now(self) -> float:
        return NOW_S

    def monotonic(self) -> float:
        return 0.0


def agreed(server):
    return PricesAndBudgets(server, HubView(server, Clock()), currency="EUR", skew_ms=60_000)


async def test_prices_of_all_readable_nodes_are_known():
    bad = {"metadata": {"name": "bad", "uid": "b", "resourceVersion": "1"}, "spec": {"prices": 3}}
    server = Server([node_manifest("tartu", None), bad])
    known = agreed(server)
    assert known.terms(1) is None
    await heard(known._hub)
    terms = known.terms(1)
    assert set(terms.tariffs) == {"tartu"}
    assert terms.currencies == {"EUR"}


async def test_the_last_prices_hold_of_a_node_that_left_or_cannot_be_read_now():
    """What it earned before is still to be booked."""
    server = Server([node_manifest("tartu", None), node_manifest("narva", None)])
    known = agreed(server)
    await heard(known._hub)
    before = known.terms(1).tariffs
    assert set(before) == {"tartu", "narva"}
    meta = {"name": "narva", "uid": "n", "resourceVersion": "9"}
    known._hub._nodes.replace([{"metadata": meta, "spec": {"prices": 3}}])
    assert known.terms(1).tariffs == before


async def test_a_project_is_told_once_what_it_has_spent():
    mine, gone = project(), project("gone", "gone")
    server = Server(projects=[gone, mine])
    known = agreed(server)
    spent = {("clinic/screening", "EUR"): 8_500_000, ("clinic/screening", "CHF"): 1, ("", "EUR"): 9}
    spent["clinic/deleted", "EUR"] = 1
    await known.tell(spent, NOW_S)
    [status] = server.applied.values()
    assert status["spent"] == {"amount": "8.5", "currency": "EUR"}
    assert status["conditions"][0]["message"].startswith("85 % of the budget is spent")
    assert known.budgets["clinic/screening"] == (8_500_000, 10_000_000)
    server.applied.clear()
    server.things["projects"] = [mine | {"status": status}]
    await known.tell(spent, NOW_S + 5)
    assert not server.applied


async def test_a_project_that_cannot_be_told_holds_up_no_other():
    server = Server(projects=[project("refused", "u2"), project("screening")])
    apply = server.apply

    async def refusing(path, body, *, manager):
        if body["metadata"]["uid"] == "u2":
            raise Terminal("admission webhook denied the request", status=403)
        await apply(path, body, manager=manager)

    server.apply = refusing
    known = agreed(server)
    await known.tell({("clinic/screening", "EUR"): 1}, NOW_S)
    assert len(server.applied) == 1
    assert set(known.budgets) == {"clinic/refused", "clinic/screening"}


OPEN = {
    "nothing spent": ({}, {}, "True", "Open"),
    "all spent": ({"EUR": 10_000_000}, {}, "False", "ProjectOverBudget"),
    "over": ({}, {"end": rfc3339(NOW_S)}, "False", "ProjectClosed"),
    "unreadable": ({}, {"purpose": ""}, "False", "Misconfigured"),
    "a correction below nothing": ({"EUR": -5}, {}, "True", "Open"),
}


@pytest.mark.parametrize("case", OPEN)
def test_whether_it_is_open_is_said_with_its_reason(case):
    spent, changes, status, reason = OPEN[case]
    told = project_status(project(spent="", **changes), spent, NOW_S, "EUR")
    [condition] = told["conditions"]
    assert (condition["type"], condition["status"], condition["reason"]) == ("Open", status, reason)
    assert condition["observedGeneration"] == 2


WEEK_S = 7 * 86_400


@pytest.mark.parametrize("left_s", [1, WEEK_S, WEEK_S + 1])
@pytest.mark.parametrize("spent", [0, 9_000_000])
def test_a_project_that_ends_within_a_week_says_so(left_s: int, spent: int):
    end = rfc3339(NOW_S + left_s)
    told = project_status(project(spent="", end=end), {"EUR": spent}, NOW_S, "EUR")
    message = told["conditions"][0]["message"]
    assert (f"It ends {end}" in message) == (left_s <= WEEK_S)
    assert ("90 %" in message) == (spent > 0)
