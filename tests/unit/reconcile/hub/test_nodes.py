"""A node takes work only where both sides agree, and no status can crash or fool the hub."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.model.reasons import Reason
from hansa.placement.planner import explain, plan
from hansa.reconcile.hub.job_view import Catalog, fault_of
from hansa.reconcile.hub.nodes import believed, parse_node, pins, view_node
from hansa.reconcile.hub.pools import parse_pool
from hansa.reconcile.hub.snapshot import LeagueView, build, plan_job
from hansa.reconcile.hub.status.nodes_and_pools import node_status
from tests.residency_kit import EVERYWHERE, stands_in
from tests.unit.reconcile.hub.hub_objects import LIMITS, NOW_S, condition, job_view, node_manifest

NODES = {
    "ready": ({}, {}, None),
    "not accepted": ({}, {"accepted": "Pending"}, Reason.NODE_NOT_ACCEPTED),
    "stands elsewhere": ({"declaredJurisdiction": "LV"}, {}, Reason.JURISDICTION_DISPUTED),
    "owned elsewhere": ({"declaredLegalControl": ["EE", "US"]}, {}, Reason.JURISDICTION_DISPUTED),
    "undeclared": ({"declaredLegalControl": []}, {}, Reason.JURISDICTION_DISPUTED),
    "paused": ({"switch": "Paused"}, {}, Reason.NODE_PAUSED),
    "cordoned": ({}, {"scheduling": "Cordoned"}, Reason.NODE_CORDONED),
    "another currency": ({}, {"currency": "USD"}, Reason.MISCONFIGURED),
    "malformed": ({"shapes": "many"}, {}, Reason.JURISDICTION_DISPUTED),
    "malformed spec": ({}, {"jurisdiction": 7}, Reason.MISCONFIGURED),
    "fit": ({"memberConditions": [condition("KubeRayReady")]}, {}, None),
    "no KubeRay": (
        {
            "memberConditions": [
                {
                    "type": "KubeRayReady",
                    "status": "False",
                    "reason": "Missing",
                    "lastTransitionTime": "2026-01-01T00:00:00Z",
                }
            ]
        },
        {},
        Reason.NODE_NOT_READY,
    ),
}


def view(status=None, heartbeat_s=NOW_S, **spec):
    return view_node(
        parse_node(node_manifest(status=status, **spec), LIMITS), heartbeat_s, NOW_S, LIMITS
    )


@pytest.mark.parametrize("case", NODES)
def test_availability(case):
    status, spec, reason = NODES[case]

    seen = view(status, **spec)

    assert seen.site.unavailable == reason
    said = node_status(seen, (), {}, NOW_S)
    assert said["conditions"][0]["reason"] == (reason or "Ready")
    assert node_status(seen, (), said, NOW_S + 99) is None


@pytest.mark.parametrize("heartbeat_s", [None, NOW_S - 41])
def test_a_silent_node_is_unreachable(heartbeat_s):
    assert view(heartbeat_s=heartbeat_s).site.unavailable is Reason.NODE_UNREACHABLE


def announcing(name, *datasets, pinned=(), **spec):
    rows = [{"name": n, "jurisdiction": "EE", "residency": EVERYWHERE} for n in datasets]
    manifest = node_manifest(name, {"datasets": rows}, datasets=list(pinned), **spec)
    return view_node(parse_node(manifest, LIMITS), NOW_S, NOW_S, LIMITS)


HOLDERS = {
    "nobody pinned it": ((), (), True),
    "pinned to another": (("scans",), (), False),
    "pinned to both": (("scans",), ("scans",), True),
    "another set is pinned to another": (("films",), (), True),
    "pinned to it alone": ((), ("scans",), True),
}


@pytest.mark.parametrize("case", HOLDERS)
@pytest.mark.parametrize("decision", ["Accepted", "Pending"])
def test_a_data_set_is_believed_of_those_it_is_pinned_to(case, decision):
    others, own, is_believed = HOLDERS[case]
    tartu = announcing("tartu", pinned=others, accepted=decision)
    riga = announcing("riga", "scans", "songs", pinned=own)

    seen = believed(riga, pins([tartu.parsed, riga.parsed]))

    assert set(seen.site.datasets) == ({"scans", "songs"} if is_believed else {"songs"})
    assert set(seen.site.dataset_rules) == set(seen.site.datasets)
    conditions = {row["type"]: row for row in node_status(seen, (), {}, NOW_S)["conditions"]}
    if is_believed:
        assert seen == riga
        assert "DatasetsBelieved" not in conditions
    else:
        assert conditions["DatasetsBelieved"]["status"] == "False"
        assert "pinned scans to tartu" in conditions["DatasetsBelieved"]["message"]


def test_a_job_is_told_whose_word_is_not_believed():
    tartu, riga = announcing("tartu", "scans", pinned=["scans"]), announcing("riga", "scans")
    pinned = pins([tartu.parsed, riga.parsed])
    nodes = {view.name: believed(view, pinned) for view in (tartu, riga)}
    league = LeagueView(1, nodes, catalog())
    job = plan_job(job_view(data=[{"name": "scans"}]), (), league, NOW_S)

    verdicts = {row.site: row for row in explain(build(league, [job], NOW_S), job.uid)}

    assert verdicts["riga"].reason is Reason.DATA_ELSEWHERE
    assert verdicts["riga"].message == (
        "does not hold scans; the league's admin pinned scans to tartu, and riga announces it:"
        " that is not believed"
    )
    assert verdicts["tartu"].reason is Reason.PENDING


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=9,
)
FIELDS = ("declaredJurisdiction", "shapes", "inventory", "datasets", "releaseKey", "switch")


@given(st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=5), JSON))
def test_no_status_crashes_the_hub(status):
    seen = view(status)

    assert seen.site.jurisdiction == "EE"
    node_status(seen, (), {}, NOW_S)


def catalog(**pool):
    parsed = parse_pool({"metadata": {"name": "league"}, "spec": {"residency": EVERYWHERE, **pool}})
    return Catalog({"league": parsed}, {"clinic": "clinic"}, frozenset({"scans"}), "EUR")


REQUESTS = {
    "good": ({"data": [{"name": "scans"}]}, {}, None),
    "pool": ({"pool": "other"}, {}, Reason.UNKNOWN_POOL),
    "data": ({"data": [{"name": "scams"}]}, {}, Reason.UNKNOWN_DATASET),
    "place": ({"residency": stands_in("World", deny=["EX"])}, {}, Reason.MISCONFIGURED),
    "not served": ({"workload": "Inference"}, {}, Reason.MISCONFIGURED),
    "overlay": (
        {"residency": stands_in("overlay/none")},
        {},
        Reason.UNKNOWN_JURISDICTION,
    ),
    "known overlay": (
        {"residency": stands_in("overlay/good")},
        {"overlays": [{"name": "good", "places": ["JP"]}]},
        None,
    ),
    "contract": ({}, {"disconnection": {"maxUnattendedSeconds": 60}}, Reason.MISCONFIGURED),
    "currency": ({"budget": {"limit": "1", "currency": "USD"}}, {}, Reason.MISCONFIGURED),
    "malformed": ({"entrypoint": 3}, {}, Reason.MISCONFIGURED),
    "a number JSON cannot carry": ({"priority": 2**60}, {}, Reason.MISCONFIGURED),
}


@pytest.mark.parametrize("case", REQUESTS)
def test_requests(case):
    spec, pool, reason = REQUESTS[case]

    fault = fault_of(job_view(**spec), catalog(**pool))

    assert (fault[0] if fault else None) == reason


def test_a_namespace_of_no_institution_may_not_submit():
    stranger = job_view(meta={"namespace": "stranger"})

    reason, message = fault_of(stranger, catalog())

    assert reason is Reason.NO_INSTITUTION
    assert "stranger" in message


def test_what_is_not_served_is_told_so():
    _, words = fault_of(job_view(workload="Inference"), catalog())

    assert words == "spec.workload: Inference is not served yet; use Batch or FineTune"


def refusal(reason, generation, at="2027-01-15T08:00:00Z"):
    return {
        "node": "tartu",
        "epoch": 1,
        "reason": reason,
        "policyGeneration": generation,
        "specDigest": job_view().parsed.digest,
        "refusedAt": at,
    }


REFUSALS = {
    "same policy": (refusal("TenantNotAccepted", 4), {"tartu"}),
    "node lags behind": (refusal("TenantNotAccepted", 5), {"tartu"}),
    "policy changed": (refusal("TenantNotAccepted", 3), set()),
    "another spec": (refusal("TenantNotAccepted", 4) | {"specDigest": "x"}, set()),
    "passing, just now": (refusal("DiskFull", 4), {"tartu"}),
    "passing, a while ago": (refusal("DiskFull", 4, "2027-01-15T07:00:00Z"), set()),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refusals_are_remembered_for_that_spec_and_policy(case):
    row, expected = REFUSALS[case]
    league = LeagueView(1, {"tartu": view({"policyGeneration": 4})}, catalog())

    job = plan_job(job_view({"epoch": 1, "refusals": [row]}), (), league, NOW_S + 30)

    assert set(job.refused_by) == expected


def test_a_nodes_announcement_binds_that_node_alone():
    def holder(name, allow):
        notice = {
            "name": "scans",
            "jurisdiction": "EE",
            "residency": stands_in(*allow),
        }
        seen = node_manifest(name, {"datasets": [notice]})
        return view_node(parse_node(seen, LIMITS), NOW_S, NOW_S, LIMITS)

    nodes = {"tartu": holder("tartu", ["EE"]), "narrow": holder("narrow", ["LV"])}
    league = LeagueView(1, nodes, catalog())
    study = plan_job(job_view(data=[{"name": "scans"}]), (), league, NOW_S)

    decided = plan(build(league, [study], NOW_S))

    assert [placed.site for placed in decided.placements] == ["tartu"]
    judged = {row.site: row.reason for row in explain(build(league, [study], NOW_S), study.uid)}
    assert judged["narrow"] is Reason.RESIDENCY_DENIED
