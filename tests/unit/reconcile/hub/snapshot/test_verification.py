"""What verification means for placing: levels that were shown count, and an audit runs where the draw says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hansa.model.plan import Placement
from hansa.model.reasons import Reason
from hansa.placement.planner import explain, plan
from hansa.reconcile.hub.job_view import Catalog
from hansa.reconcile.hub.nodes import parse_node, view_node
from hansa.reconcile.hub.pools import parse_pool
from hansa.reconcile.hub.snapshot import LeagueView, build, plan_job
from tests.residency_kit import EVERYWHERE
from tests.unit.receipts.receipt_kit import HUB, NODE, OTHER
from tests.unit.reconcile.hub.hub_objects import LIMITS, NOW_S, job_view, node_manifest, shown

KEYS = replace(LIMITS, word_keys={HUB.key_id: HUB.public_key})


def site(word, *, limits=KEYS, now_s=NOW_S, **spec):
    thing = node_manifest(status={"assurance": word}, releaseKey=NODE.public_key, **spec)
    return view_node(parse_node(thing, limits), NOW_S, now_s, limits).site


WORD = shown(NODE, "L2", NOW_S + 60, by=HUB)
LEVELS = {
    "as shown": (WORD, {}, 2),
    "nothing said": (None, {}, 0),
    "bound by the league's admin": (WORD, {"assurance": "L1"}, 1),
    "not lifted by the league's admin": (None, {"assurance": "L3"}, 0),
    "signed by the node itself": (shown(NODE, "L3", NOW_S + 60), {}, 0),
    "another node's": (shown(OTHER, "L3", NOW_S + 60, by=HUB), {}, 0),
    "changed afterwards": (WORD | {"level": "L4"}, {}, 0),
    "grown old": (shown(NODE, "L2", NOW_S, by=HUB), {}, 0),
    "no word at all": ({"level": "L4"}, {}, 0),
}


@pytest.mark.parametrize("case", LEVELS.values(), ids=LEVELS)
def test_a_level_counts_that_the_ledger_says_was_shown(case):
    word, spec, level = case
    assert site(word, **spec).assurance == level


def test_it_falls_by_itself_as_time_passes():
    assert site(WORD, now_s=NOW_S + 59).assurance == 2
    assert site(WORD, now_s=NOW_S + 60).assurance == 0


def test_those_who_look_on_need_no_key():
    assert site(shown(NODE, "L3", NOW_S + 60), limits=LIMITS).assurance == 3
    assert site({"level": 7}, limits=LIMITS).assurance == 0


def league(**nodes):
    views = {}
    for name, status in nodes.items():
        thing = node_manifest(name, status, releaseKey=NODE.public_key)
        views[name] = view_node(parse_node(thing, KEYS), NOW_S, NOW_S, KEYS)
    pool = parse_pool({"metadata": {"name": "league"}, "spec": {"residency": EVERYWHERE}})
    return LeagueView(1, views, Catalog({"league": pool}, {"clinic": "clinic"}, frozenset(), "EUR"))


def decided(job, among):
    snapshot = build(among, [plan_job(job, (), among, NOW_S)], NOW_S)
    found = plan(snapshot)
    return found, explain(snapshot, job.uid)


def test_a_job_that_asks_for_more_goes_where_more_was_shown():
    both = league(tartu={}, riga={"assurance": WORD})
    found, verdicts = decided(job_view(assurance="L1"), both)
    assert [one.site for one in found.placements] == ["riga"]
    reasons = {one.site: one.reason for one in verdicts}
    assert reasons["tartu"] is Reason.ASSURANCE_TOO_LOW


ORDERS = {
    "an audit of study": {"of": "study", "epoch": 1},
    "a capacity probe": {},
}


@pytest.mark.parametrize("what", ORDERS)
@pytest.mark.parametrize("node", ["riga", "tartu", "oslo"])
def test_an_audit_runs_at_the_node_that_was_drawn_and_at_no_other(node, what):
    three = league(tartu={}, riga={}, oslo={})
    found, verdicts = decided(job_view(audit=ORDERS[what] | {"node": node}), three)
    assert [(type(one), one.site) for one in found.placements] == [(Placement, node)]
    said = {one.site: (one.reason, one.message) for one in verdicts if one.site != node}
    assert {reason for reason, _ in said.values()} == {Reason.NODE_REFUSED}
    assert all(
        f"it is {what}, which the draw has given to {node}" in text for _, text in said.values()
    )


def test_the_planner_knows_which_node_an_audit_was_drawn_for():
    among = league(tartu={})
    audit = job_view(audit={"of": "study", "epoch": 1, "node": "tartu"})
    assert plan_job(audit, (), among, NOW_S).only_site == "tartu"
    assert plan_job(job_view(), (), among, NOW_S).only_site == ""


def test_an_audit_at_a_node_that_is_gone_waits():
    found, _ = decided(
        job_view(audit={"of": "study", "epoch": 1, "node": "gone"}), league(tartu={})
    )
    assert found.placements == ()
