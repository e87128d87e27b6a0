"""What a scrape tells of grants: their states, whatever a hub has written into them."""

from __future__ import annotations

from typing import Any

import pytest

from hansa.grants.shape import misshapen
from hansa.member.cluster.policy import HeldPolicy
from hansa.member.publisher import Publisher
from hansa.member.scrape_view import ScrapeView
from tests.unit.grants.grant_kit import NOW_S, grant, policy
from tests.unit.member.runs.plain_job import Running


def granted(status: Any, number: int = 1) -> dict[str, Any]:
    name = f"x-e{number}"
    metadata = {"name": name, "namespace": "hansa-node-tartu", "uid": name, "resourceVersion": "7"}
    return {"metadata": metadata, "spec": grant()} | ({} if status is None else {"status": status})


def said(**conditions: str) -> dict[str, Any]:
    return {"conditions": [{"type": kind, "status": is_so} for kind, is_so in conditions.items()]}


def reading(*grants: dict[str, Any], **more: Any):
    context = Running().parts.context
    for name, value in more.items():
        setattr(context, name, value)
    for one in grants:
        assert misshapen(one) == ""
        context.grants.put(one)
    told = Publisher(context, release_key="", token_end_s=lambda: None)
    return ScrapeView(context, told, lambda: NOW_S + 60).reading()


STATES = {
    "no status": (None, "Pending"),
    "nothing said": ({}, "Pending"),
    "no conditions": ({"conditions": None}, "Pending"),
    "accepted": (said(Accepted="True"), "Accepted"),
    "refused": (said(Accepted="False"), "Pending"),
    "running": (said(Accepted="True", Running="True"), "Running"),
    "ended well, and told of before": (
        said(Succeeded="True", Running="False", Accepted="True"),
        "Succeeded",
    ),
    "failed": (said(Accepted="True", Failed="True"), "Failed"),
    "released": (said(Released="True", Failed="True", Accepted="True"), "Released"),
    "a condition without a type": ({"conditions": [{"status": "True"}]}, "Pending"),
    "a condition without a word": ({"conditions": [{}]}, "Pending"),
    "a condition that nobody knows": (said(Done="True"), "Pending"),
}


@pytest.mark.parametrize("case", STATES.values(), ids=STATES)
def test_a_grant_is_in_one_state(case):
    status, state = case
    assert reading(granted(status)).jobs == {state: 1}


def test_grants_are_counted_by_state():
    grants = [granted(said(Running="True"), n) for n in (1, 2)]
    assert reading(*grants, granted(None, 3)).jobs == {"Running": 2, "Pending": 1}


def test_clocks_and_ends_are_told_as_they_are_meant():
    """Ours minus the hub's; what is left of the token; nothing where nothing is known."""
    told = reading(hub_skew=lambda: 7.0)
    assert (told.clock_skew_s, told.token_remaining_s) == (-7.0, 60)
    assert reading(hub_skew=lambda: None).clock_skew_s is None


@pytest.mark.parametrize("switch", ["Open", "Paused", "Stopped"])
def test_the_switch_is_told_and_without_a_policy_it_counts_as_paused(switch):
    context = Running().parts.context
    told = Publisher(context, release_key="", token_end_s=lambda: None)
    view = ScrapeView(context, told, lambda: None)
    law = policy(datasets=[], switch=switch)
    context.cluster_state.put_policy(HeldPolicy(law, 2, "u", ""))
    assert view.reading().switch == switch
    context.cluster_state.put_policy(HeldPolicy())
    assert view.reading().switch == "Paused"
    assert view.reading().token_remaining_s is None
