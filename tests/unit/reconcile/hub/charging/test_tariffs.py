"""A node's prices change with time, and one that recovers costs takes no margin."""

from dataclasses import replace

import pytest

from hansa.model.reasons import Reason
from hansa.model.times import rfc3339
from hansa.reconcile.hub.nodes import parse_node, view_node
from tests.unit.reconcile.hub.hub_objects import LIMITS, NOW_S, node_manifest


def viewed(now_s=NOW_S, **spec):
    parsed = parse_node(node_manifest("tartu", None, **spec), LIMITS)
    return view_node(parsed, now_s, now_s, LIMITS)


def price(per_hour, valid_from=None, **parts):
    found = {"gpuClass": "h100", "perGpuHour": per_hour}
    found |= {"validFrom": valid_from} if valid_from else {}
    return found | ({"parts": parts} if parts else {})


CHANGING = [price("2"), price("3", rfc3339(NOW_S + 10))]


@pytest.mark.parametrize(("later_s", "micros"), [(0, 2_000_000), (9, 2_000_000), (10, 3_000_000)])
def test_the_planner_sees_the_price_of_now(later_s, micros):
    assert viewed(NOW_S + later_s, prices=CHANGING).site.gpu_hour_price == {"h100": micros}


def test_a_class_has_no_price_before_its_first():
    assert viewed(prices=CHANGING[1:]).site.gpu_hour_price == {}


def test_the_site_of_unchanged_prices_is_the_very_same():
    parsed = parse_node(node_manifest("tartu", None, prices=CHANGING[:1]), LIMITS)
    first = view_node(parsed, NOW_S, NOW_S, LIMITS)
    assert replace(first.site) == view_node(parsed, NOW_S + 5, NOW_S + 5, LIMITS).site


UNSOUND = {
    "no parts": (price("2"), "does not say what it is made of"),
    "a margin": (price("2", energy="1", depreciation="0.5"), "is not the sum of its parts"),
    "no time": (price("2", "soon", energy="2"), "valid from no time"),
}


@pytest.mark.parametrize("case", UNSOUND)
def test_a_node_with_unsound_prices_takes_no_work(case):
    row, says = UNSOUND[case]
    site = viewed(prices=[row], priceMode="CostRecovery").site
    assert site.unavailable is Reason.MISCONFIGURED
    assert says in site.unavailable_message


def test_a_node_that_recovers_costs_takes_work():
    row = price("2", energy="1", depreciation="0.5", operation="0.5")
    assert viewed(prices=[row], priceMode="CostRecovery").site.unavailable is None
