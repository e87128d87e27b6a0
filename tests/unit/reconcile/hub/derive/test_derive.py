"""What the hub does about one job, case by case and under every order of events."""

import dataclasses

import pytest

from hansa.model.plan import Placement, Stop, Waiting
from hansa.model.reasons import Reason
from hansa.model.times import rfc3339
from hansa.reconcile.hub.actions import (
    CancelGrant,
    DeleteGrant,
    EmitEvent,
    SetFinalizers,
    SetJobStatus,
    WriteGrant,
)
from hansa.reconcile.hub.derive import derive
from hansa.reconcile.hub.job_view import FINALIZER
from tests.unit.reconcile.hub.hub_objects import (
    ACCEPTED,
    DONE,
    NOW_S,
    PLACED,
    REFUSED,
    TERMINAL,
    UID,
    case,
    condition,
    epoch,
    grant_manifest,
    job_view,
)

STALE = {"conditions": [condition("Accepted", "False", "StaleEpoch")], "highestEpoch": 7}
DELETING = {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": [FINALIZER]}


def with_meta(manifest, **fields):
    return manifest | {"metadata": manifest["metadata"] | fields}


PLACE = Placement(UID, "tartu", 2, 0)
WAIT = Waiting(UID, Reason.WAITING_FOR_CAPACITY, "full")
PREEMPT = Stop(
    UID,
    "tartu",
    Reason.WAITING_FOR_PREEMPTION,
    "stopped in favour of secret/name of university",
    in_favour_of="x",
)
CASES = {
    "not planned yet": (case(job_view()), []),
    "placed": (case(job_view(), decision=PLACE), [SetJobStatus, WriteGrant, EmitEvent]),
    "waits": (case(job_view(), decision=WAIT), [SetJobStatus, EmitEvent]),
    "recorded, grant missing": (case(job_view(PLACED)), [WriteGrant]),
    "granted": (case(job_view(PLACED), epoch(grant_manifest())), [SetJobStatus]),
    "accepted and told": (
        case(
            job_view(
                PLACED
                | {
                    "conditions": [
                        condition("Accepted", reason="Accepted"),
                        condition("Placed", reason="Placed"),
                        condition("Running", "False", "Starting"),
                        condition("Reconciling", reason="Placed"),
                    ],
                    "observedGeneration": 1,
                    "specDigest": job_view().parsed.digest,
                }
            ),
            epoch(grant_manifest(status=ACCEPTED)),
        ),
        [],
    ),
    "refused": (
        case(job_view(PLACED), epoch(grant_manifest(status=REFUSED))),
        [SetJobStatus, EmitEvent],
    ),
    "outdated": (
        case(job_view(PLACED), epoch(grant_manifest(status=STALE))),
        [SetJobStatus],
    ),
    "outdated and moved on": (
        case(job_view({"epoch": 7}), epoch(grant_manifest(status=STALE)), decision=PLACE),
        [CancelGrant],
    ),
    "outdated and released": (
        case(job_view({"epoch": 7}), epoch(grant_manifest(status=STALE), released=True)),
        [DeleteGrant],
    ),
    "refused and recorded": (
        case(job_view({"epoch": 1}), epoch(grant_manifest(status=REFUSED))),
        [DeleteGrant],
    ),
    "ended": (
        case(job_view(PLACED), epoch(grant_manifest(status=DONE))),
        [SetJobStatus, EmitEvent],
    ),
    "ended, not released": (case(job_view(TERMINAL), epoch(grant_manifest(status=DONE))), []),
    "ended, its spec changed": (
        case(job_view(TERMINAL, meta={"generation": 2}), epoch(grant_manifest(status=DONE))),
        [SetJobStatus],
    ),
    "ended and released": (
        case(
            job_view(TERMINAL, meta={"finalizers": [FINALIZER]}),
            epoch(grant_manifest(status=DONE), released=True),
        ),
        [DeleteGrant, SetFinalizers],
    ),
    "suspended while running": (
        case(job_view(PLACED, suspend=True), epoch(grant_manifest(status=ACCEPTED))),
        [CancelGrant, EmitEvent, SetJobStatus],
    ),
    "suspended before its grant": (case(job_view(PLACED, suspend=True)), [WriteGrant]),
    "drained": (
        case(
            job_view(PLACED),
            epoch(grant_manifest(status=ACCEPTED)),
            decision=Stop(UID, "tartu", Reason.NODE_CORDONED, "tartu is being drained"),
        ),
        [CancelGrant, EmitEvent, SetJobStatus],
    ),
    "preempted": (
        case(
            job_view(PLACED),
            epoch(grant_manifest(status=ACCEPTED)),
            decision=PREEMPT,
            gainer="university",
        ),
        [SetJobStatus, CancelGrant, EmitEvent],
    ),
    "a stop for another node": (
        case(
            job_view(PLACED),
            epoch(grant_manifest(status=ACCEPTED)),
            decision=dataclasses.replace(PREEMPT, site="narva"),
            gainer="university",
        ),
        [SetJobStatus],
    ),
    "released unfinished": (
        case(job_view(PLACED), epoch(grant_manifest(status=ACCEPTED), released=True)),
        [SetJobStatus],
    ),
    "not accepted in time": (
        case(
            job_view(PLACED),
            epoch(grant_manifest(), now_s=NOW_S + 700, lease_s=NOW_S + 700),
            now_s=NOW_S + 700,
        ),
        [CancelGrant, EmitEvent, SetJobStatus],
    ),
    "silent beyond the fence": (
        case(
            job_view(PLACED),
            epoch(grant_manifest(status=ACCEPTED), now_s=NOW_S + 3661),
            now_s=NOW_S + 3661,
        ),
        [SetJobStatus],
    ),
    "an old epoch lives": (
        case(job_view({"epoch": 1}), epoch(grant_manifest(status=ACCEPTED)), decision=PLACE),
        [CancelGrant],
    ),
    "deleted, running": (
        case(job_view(PLACED, meta=DELETING), epoch(grant_manifest(status=ACCEPTED))),
        [CancelGrant, EmitEvent, SetJobStatus],
    ),
    "deleted, free": (case(job_view(meta=DELETING)), [SetFinalizers]),
    "deleted, free and never pinned": (
        case(job_view(meta={"deletionTimestamp": DELETING["deletionTimestamp"]})),
        [],
    ),
    "recorded, and its spec cannot be read any more": (
        case(job_view(PLACED, priority=2**60)),
        [],
    ),
    "an old epoch is being stopped": (
        case(
            job_view({"epoch": 1}),
            epoch(grant_manifest(status=ACCEPTED, cancel="Stop")),
            decision=PLACE,
        ),
        [],
    ),
    "an old epoch's grant is on its way out": (
        case(
            job_view({"epoch": 1}),
            epoch(
                with_meta(grant_manifest(status=REFUSED), deletionTimestamp="2026-01-01T00:00:00Z")
            ),
        ),
        [],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_due(name):
    given, expected = CASES[name]

    assert [type(action) for action in derive(given)] == expected


def test_a_suspended_job_whose_node_fell_silent_is_told_that_it_is_suspended():
    late_s = NOW_S + 3661
    over = epoch(grant_manifest(status=ACCEPTED), now_s=late_s)

    [told] = derive(case(job_view(PLACED, suspend=True), over, now_s=late_s))

    assert {c["type"]: c["reason"] for c in told.status["conditions"]}["Placed"] == "Suspended"


def test_the_first_epoch_is_recorded_before_its_grant_is_written():
    record, write, _ = derive(case(job_view(), decision=PLACE))

    assert record.status["epoch"] == 1
    assert record.resource_version == "1"
    assert (write.node, write.epoch, write.cancel) == ("tartu", 1, "None")
    assert write.job_spec == job_view().parsed.wire


def test_a_grant_has_the_workers_that_were_planned_also_after_a_crash():
    elastic = {"ray": {"version": "2.60.0", "workers": {"count": 4, "minCount": 1}}}
    small = PLACE._replace(workers=1)

    record, write, _ = derive(case(job_view(**elastic), decision=small))
    (again,) = derive(case(job_view(dict(record.status), **elastic)))

    assert write.workers == again.workers == 1


def test_a_victim_is_told_for_whom_and_that_is_remembered():
    running = epoch(grant_manifest(status=ACCEPTED))
    preempted = case(job_view(PLACED), running, decision=PREEMPT, gainer="university")
    record, cancel, told = derive(preempted)
    assert "secret" not in str((record.status, cancel.why, told.message))
    (row,) = record.status["preemptions"]
    assert (row["node"], row["epoch"], row["inFavourOf"]) == ("tartu", 1, "university")
    assert row["gainingUid"] == PREEMPT.in_favour_of

    stopping = epoch(grant_manifest(status=ACCEPTED, cancel="Stop"))
    assert not of_kind(SetJobStatus, derive(case(job_view(record.status), stopping)))

    (requeued,) = derive(case(job_view(record.status), epoch(grant_manifest(), released=True)))
    said = {row["type"]: row for row in requeued.status["conditions"]}
    assert said["Placed"]["reason"] == "Preempted"
    assert said["Preempted"]["message"] == "Stopped in favour of work of university."

    waits = derive(case(job_view(requeued.status), decision=WAIT))[0].status
    placed = derive(case(job_view(waits), decision=PLACE))[0].status
    assert [any(c["type"] == "Preempted" for c in s["conditions"]) for s in (waits, placed)] == [
        True,
        False,
    ]
    assert placed["preemptions"] == [row]


def test_a_hub_that_died_before_the_stop_records_the_preemption_once():
    running = epoch(grant_manifest(status=ACCEPTED))
    again = {"decision": PREEMPT, "gainer": "university"}
    record, *_ = derive(case(job_view(PLACED), running, **again))

    actions = derive(case(job_view(record.status), running, **again, now_s=NOW_S + 5))

    assert of_kind(CancelGrant, actions)
    assert all(len(a.status["preemptions"]) == 1 for a in of_kind(SetJobStatus, actions))

    (spared,) = derive(case(job_view(record.status), running))
    assert not spared.status["preemptions"]
    assert all(row["type"] != "Preempted" for row in spared.status["conditions"])


@pytest.mark.parametrize(("away_s", "is_given_up"), [(0, False), (10 * 86_400, True)])
def test_a_stop_says_whether_its_node_had_been_silent_for_too_long(away_s, is_given_up):
    """What its member says then of having been stopped is its own word."""
    now_s = NOW_S + away_s
    left = epoch(grant_manifest(status=ACCEPTED), now_s=now_s)
    actions = derive(case(job_view({"epoch": 1}), left, decision=WAIT, now_s=now_s))
    assert [one.is_given_up for one in of_kind(CancelGrant, actions)] == [is_given_up]


FIGURES = {
    "never told": (0.0, [SetJobStatus]),
    "told a minute ago": (NOW_S - 60, [SetJobStatus]),
    "told just now": (NOW_S - 59, []),
}


@pytest.mark.parametrize("name", FIGURES)
def test_moved_figures_are_written_once_a_minute(name):
    written_s, expected = FIGURES[name]
    first = derive(case(job_view(), decision=dataclasses.replace(WAIT, position=9)))[0].status
    later = dataclasses.replace(
        WAIT, position=4, start_p50_s=int(NOW_S) + 60, start_p90_s=int(NOW_S) + 600
    )
    actions = derive(case(job_view(first), decision=later, written_s=written_s))

    assert [type(action) for action in actions] == expected
    for action in actions:
        assert action.status["queuePosition"] == 4
        assert action.status["startEstimate"]["p50"] == rfc3339(NOW_S + 60)


def of_kind(kind, actions):
    return [action for action in actions if isinstance(action, kind)]


def test_an_unwanted_epoch_without_grant_is_exposed_only_to_be_ended():
    (write,) = derive(case(job_view(PLACED, suspend=True)))

    assert write.cancel == "Stop"
