"""From jobs and grants to the planner's input: holdings, bars, releases and refusals."""

import dataclasses

import pytest

from hansa.model.plan import Placement, Stop
from hansa.model.reasons import Reason
from hansa.model.snapshot import Holding, PlaceSet, ResidencyRule, Shape
from hansa.model.times import rfc3339
from hansa.reconcile.hub.snapshot import (
    EMPTY_SHAPE,
    LeagueView,
    build,
    changes_after,
    known_datasets,
)
from hansa.reconcile.hub.usage_history import Past
from tests.residency_kit import EVERYWHERE, stands_in
from tests.unit.reconcile.hub.hub_objects import (
    NOW_S,
    UID,
    condition,
    job_view,
)
from tests.unit.reconcile.hub.snapshot.planned_jobs import CATALOG, SKEW_S, epoch, node, planned

AT = rfc3339(NOW_S)
OPENS_S = NOW_S + 3600 + SKEW_S


def notice(name):
    return {"name": name, "jurisdiction": "EE", "residency": EVERYWHERE}


def test_only_accepted_nodes_announce_data():
    nodes = [
        node("tartu", {"datasets": [notice("scans"), notice("notes")]}),
        node("riga", {"datasets": [notice("scans")]}),
        node("vilnius", {"datasets": [notice("genomes")]}, accepted="Pending"),
    ]

    assert known_datasets(nodes) == {"scans", "notes"}


REFUSED = {"conditions": [condition("Accepted", "False", "Paused")]}
STALE = {"conditions": [condition("Accepted", "False", "StaleEpoch")]}
EPOCHS = {
    "open": (epoch(), False, OPENS_S),
    "released": (epoch(released=True), True, NOW_S),
    "refused": (epoch(status=REFUSED), True, NOW_S),
    "refused as stale": (epoch(status=STALE), False, OPENS_S),
    "a later sign of life": (epoch(lease_s=NOW_S + 9), False, OPENS_S + 9),
    "an earlier sign of life": (epoch(lease_s=NOW_S - 9), False, OPENS_S),
    "run out": (epoch(now_s=OPENS_S + 1), True, OPENS_S),
}


@pytest.mark.parametrize("case", EPOCHS)
def test_whether_an_epoch_is_over(case):
    told, over, at_s = EPOCHS[case]

    assert (told.fence.over, told.fence.at_s) == (over, at_s)


def refusal(where="tartu", **changes):
    row = {"node": where, "reason": "Paused", "message": "closed", "policyGeneration": 0}
    row |= {"specDigest": job_view().parsed.digest, "refusedAt": AT} | changes
    return {name: value for name, value in row.items() if value is not None}


LATE_S = NOW_S + 600 + SKEW_S
ACCEPTED = {"conditions": [condition("Accepted")]}
TIMES = {
    "nothing held, nothing refused": ((), (), NOW_S, float("inf")),
    "all over": ((epoch(released=True),), (), NOW_S, float("inf")),
    "the grant's own deadline first": ((epoch(),), (), NOW_S, LATE_S),
    "the very moment is yet to pass": ((epoch(),), (), LATE_S, LATE_S),
    "then the soonest fence": (
        (epoch(lease_s=NOW_S + 9), epoch(lease_s=NOW_S + 5), epoch(released=True)),
        (),
        LATE_S + 1,
        OPENS_S + 5,
    ),
    "a refusal": ((epoch(),), (refusal(reason="DiskFull"),), NOW_S, NOW_S + 60),
    "a refusal that stands": ((), (refusal(),), NOW_S, float("inf")),
    "a refusal long ago": ((), (refusal(reason="DiskFull"),), NOW_S + 61, float("inf")),
    "a refusal without a time": (
        (),
        (refusal(reason="DiskFull", refusedAt=None),),
        NOW_S,
        float("inf"),
    ),
}


@pytest.mark.parametrize("case", TIMES)
def test_when_time_alone_may_change_a_job(case):
    epochs, refusals, now_s, expected = TIMES[case]

    assert changes_after(job_view({"refusals": refusals}), epochs, now_s, SKEW_S) == expected


NEVER = dataclasses.replace(epoch(), fence=dataclasses.replace(epoch().fence, at_s=float("inf")))
HELD = "node tartu has not released epoch 1; at the latest"
SUSPENDED = "Suspended by its owner; set spec.suspend to false to go on."
SPENT = {"gpuSeconds": 1, "wallSeconds": 1, "cost": {"amount": "40.5", "currency": "EUR"}}
BARS = {
    "none": (job_view(), (), None, ""),
    "suspended": (job_view(suspend=True), (), Reason.SUSPENDED, SUSPENDED),
    "an old epoch is open": (
        job_view({"epoch": 1}),
        (epoch(),),
        Reason.WAITING_FOR_RELEASE,
        f"{HELD} {rfc3339(OPENS_S)} it may run elsewhere",
    ),
    "an old epoch never ends": (
        job_view({"epoch": 1}),
        (NEVER,),
        Reason.WAITING_FOR_RELEASE,
        f"{HELD} its release it may run elsewhere",
    ),
    "an old epoch is over": (job_view({"epoch": 1}), (epoch(released=True),), None, ""),
    "its wait is not written yet": (
        job_view({"epoch": 1, "waitedSeconds": 3}),
        (),
        Reason.PENDING,
        "It has just come into the queue.",
    ),
    "its runs cost as much as it may": (
        job_view({"earlier": SPENT}, budget={"limit": "40", "currency": "EUR"}),
        (),
        Reason.OVER_BUDGET,
        "its runs so far cost 40.5 EUR, its budget is 40 EUR; raise spec.budget.limit to go on",
    ),
    "its runs cost less": (
        job_view({"earlier": SPENT}, budget={"limit": "41", "currency": "EUR"}),
        (),
        None,
        "",
    ),
    "its own epoch is open": (job_view({"epoch": 1, "node": "tartu"}), (epoch(),), None, ""),
}


@pytest.mark.parametrize("case", BARS)
def test_bars(case):
    job, epochs, reason, words = BARS[case]

    told = planned(job, *epochs)

    assert (told.barred, told.barred_message) == (reason, words)


def test_a_budget_is_for_all_runs_of_a_job():
    job = job_view({"earlier": SPENT}, budget={"limit": "41", "currency": "EUR"})

    assert planned(job).budget_micros == 500_000


QUEUED = {
    "never left the queue": ({}, -10),
    "waits again": ({"waitingSince": rfc3339(NOW_S), "waitedSeconds": 7}, -7),
    "runs": ({"node": "tartu", "grantedAt": rfc3339(NOW_S + 5), "waitedSeconds": 7}, -2),
}


@pytest.mark.parametrize("case", QUEUED)
def test_only_time_in_the_queue_gives_rank(case):
    status, since_s = QUEUED[case]

    assert planned(job_view(status)).submitted_s == NOW_S + since_s


def holding(where="tartu", number=1, workers=2, since_s=NOW_S, **more):
    return Holding(where, number, workers, int(since_s), **({"confirmed": False} | more))


RUNNING = ACCEPTED | {"runningAt": rfc3339(NOW_S + 30)}
OWN = {"epoch": 1, "node": "tartu"}
SUBMITTED_S = NOW_S - 10
HOLDINGS = {
    "nothing": ({}, (), ()),
    "granted": (OWN, (epoch(),), (holding(),)),
    "accepted": (OWN, (epoch(status=ACCEPTED),), (holding(confirmed=True),)),
    "running": (OWN, (epoch(status=RUNNING),), (holding(since_s=NOW_S + 30, confirmed=True),)),
    "running, as told first": (
        OWN | {"runningAt": rfc3339(NOW_S + 20)},
        (epoch(status=RUNNING),),
        (holding(since_s=NOW_S + 20, confirmed=True),),
    ),
    "running since before it was granted": (
        OWN,
        (epoch(status=ACCEPTED | {"runningAt": rfc3339(NOW_S - 9000)}),),
        (holding(confirmed=True),),
    ),
    "running in years to come": (
        OWN,
        (epoch(status=ACCEPTED | {"runningAt": "2099-01-01T00:00:00Z"}),),
        (holding(since_s=NOW_S + 40, confirmed=True),),
    ),
    "stopping": (OWN, (epoch(cancel="Stop"),), (holding(stopping=True),)),
    "over": (OWN, (epoch(released=True),), ()),
    "recorded, its grant not seen": (
        OWN | {"workers": 7},
        (),
        (holding(workers=7, since_s=SUBMITTED_S),),
    ),
    "recorded at the node of an older epoch": (OWN | {"epoch": 2}, (epoch(),), (holding(),)),
    "recorded, an older epoch elsewhere": (
        OWN | {"epoch": 2},
        (epoch(where="riga"),),
        (holding("riga"), holding(number=2, since_s=SUBMITTED_S)),
    ),
    "ended, its grant gone": (OWN | {"conditions": [condition("Succeeded")]}, (), ()),
}


@pytest.mark.parametrize("case", HOLDINGS)
def test_holdings(case):
    status, epochs, expected = HOLDINGS[case]

    assert planned(job_view(status), *epochs).holdings == expected


def test_a_grant_being_written_holds_its_workers():
    placement = Placement(UID, "riga", 1, 0, gpu_class="l40s")

    told = planned(job_view({"epoch": 3}), decision=placement)

    assert told.holdings == (holding("riga", 3, 1, SUBMITTED_S, gpu_class="l40s"),)


STOPS = {
    "decided, not written": (epoch(), "tartu", True),
    "decided for another node": (epoch(), "riga", False),
    "written": (epoch(cancel="Stop"), "riga", True),
}


@pytest.mark.parametrize("case", STOPS)
def test_a_stop_counts_from_its_decision(case):
    held, where, expected = STOPS[case]
    stop = Stop(UID, where, Reason.NODE_CORDONED, "drained")

    (told,) = planned(job_view(OWN), held, decision=stop).holdings

    assert told.stopping is expected


def test_the_class_it_was_placed_for_is_that_of_its_last_epoch():
    job = job_view(OWN | {"epoch": 2})

    told = planned(job, epoch(where="riga"), epoch(2), gpu_class="l40s")

    assert [held.gpu_class for held in told.holdings] == ["", "l40s"]


REFUSALS = {
    "words": (refusal(), {"tartu": "closed"}),
    "a reason only": (refusal(message=""), {"tartu": "Paused"}),
    "a reason of a later release": (refusal(reason="Moonlit", message=None), {"tartu": "Moonlit"}),
    "another spec": (refusal(specDigest="x"), {}),
    "same policy": (refusal("oslo", policyGeneration=4), {"oslo": "closed"}),
    "changed policy": (refusal("oslo", policyGeneration=3), {}),
    "no policy told, none known": (refusal(policyGeneration=None), {"tartu": "closed"}),
    "passing, a minute ago": (
        refusal(reason="DiskFull", refusedAt=rfc3339(NOW_S - 20)),
        {"tartu": "closed"},
    ),
    "a node that is gone": (refusal("riga"), {"riga": "closed"}),
    "no time": (refusal(reason="DiskFull", refusedAt=None), {"tartu": "closed"}),
    "passing, long ago": (refusal(reason="DiskFull", refusedAt=rfc3339(NOW_S - 21)), {}),
    "lasting, long ago": (refusal(refusedAt=rfc3339(NOW_S - 61)), {"tartu": "closed"}),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refusals(case):
    row, expected = REFUSALS[case]

    nodes = {"tartu": node(), "oslo": node("oslo", {"policyGeneration": 4})}
    told = planned(job_view({"refusals": [row]}), league=LeagueView(1, nodes, CATALOG))

    assert told.refused_by == expected


def test_every_field_of_a_request():
    residency = stands_in("EU", deny=["LV"])
    job = job_view(
        priority=7,
        data=[{"name": "scans"}],
        residency=residency,
        assurance="L2",
        maxRuntimeSeconds=900,
        checkpointSeconds=60,
        budget={"limit": "1.5", "currency": "EUR"},
    )

    told = planned(job)

    assert (told.uid, told.name, told.institution, told.pool) == (
        UID,
        "clinic/study",
        "clinic",
        "league",
    )
    assert told.shape == Shape(2, memory_bytes=1 << 30)
    assert (told.submitted_s, told.priority, told.assurance) == (SUBMITTED_S, 7, 2)
    assert (told.max_runtime_s, told.checkpoint_s) == (900, 60)
    assert (told.budget_micros, told.data) == (1_500_000, ("scans",))
    assert told.residency == ResidencyRule(PlaceSet(frozenset({"EU"}), frozenset({"LV"})))


def test_a_request_that_cannot_be_read_is_barred_and_asks_for_nothing():
    told = planned(job_view(entrypoint=3))

    assert told.barred is Reason.MISCONFIGURED
    assert told.barred_message.startswith("spec is not valid: entrypoint")
    assert (told.shape, told.pool, told.max_runtime_s) == (EMPTY_SHAPE, "", 1)
    assert (told.residency, told.data, told.budget_micros) == (
        ResidencyRule(),
        (),
        None,
    )


def test_a_league_is_built_in_order():
    league = LeagueView(1, {name: node(name) for name in ("tartu", "riga")}, CATALOG)
    job = planned(job_view())

    told = build(league, iter([job]), NOW_S + 0.9, Past(preemptions={"league": {"clinic": 2}}))

    assert told.now_s == NOW_S
    assert [site.name for site in told.sites] == ["riga", "tartu"]
    assert [pool.name for pool in told.pools] == ["league", "z-pool"]
    assert told.pools[0].recent_preemptions == {"clinic": 2}
    assert told.jobs == (job,)
