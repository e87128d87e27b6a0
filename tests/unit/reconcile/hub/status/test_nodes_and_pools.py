"""What the hub says of nodes and pools, and when it has nothing new to say."""

import dataclasses
import sys

import pytest

from hansa.model.plan import Notice
from hansa.model.reasons import Reason
from hansa.model.snapshot import Holding, Job, Machines, Shape, Site, Snapshot
from hansa.model.times import rfc3339
from hansa.reconcile.hub.nodes import parse_node, view_node
from hansa.reconcile.hub.pools import parse_pool
from hansa.reconcile.hub.status.nodes_and_pools import (
    node_status,
    pool_status,
    site_gpus,
    unsound,
)
from tests.residency_kit import EVERYWHERE
from tests.unit.reconcile.hub.hub_objects import LIMITS, NOW_S, node_manifest

L40S = Machines(3, 4, "nvidia-l40s", 48 << 30, 64_000, 256 << 30)
H200 = Machines(1, 8, "nvidia-h200", 141 << 30, 128_000, 512 << 30)
PLAIN = Machines(9, 0, "", 0, 32_000, 128 << 30)


def site(name="tartu", jurisdiction="EE", **more):
    machines = more.pop("machines", (L40S,))
    control = frozenset({jurisdiction})
    return Site(name, name, name, jurisdiction, control, machines=machines, **more)


def said(kind, status, reason, message, since_s=NOW_S):
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": rfc3339(since_s),
        "observedGeneration": 1,
    }


READY = ("Ready", "True", "Ready", "The node takes work.")
AGREED = ("JurisdictionAgreed", "True", "Agreed", "League and institution agree.")
SOUND = ("Sound", "True", "Sound", "The planner can use all of it.")
DISPUTE = "the league says it stands in EE, its own policy says LV"
NODES = {
    "ready": ({}, {}, READY, AGREED),
    "paused": (
        {"switch": "Paused"},
        {},
        ("Ready", "False", "NodePaused", "the institution's switch is Paused"),
        AGREED,
    ),
    "disputed": (
        {"declaredJurisdiction": "LV"},
        {},
        ("Ready", "False", "JurisdictionDisputed", DISPUTE),
        ("JurisdictionAgreed", "False", "JurisdictionDisputed", DISPUTE),
    ),
    "pending and disputed": (
        {"declaredJurisdiction": "LV"},
        {"accepted": "Pending"},
        ("Ready", "False", "NodeNotAccepted", "the league's decision on it is Pending"),
        ("JurisdictionAgreed", "False", "JurisdictionDisputed", DISPUTE),
    ),
}


def seen(status=None, heartbeat_s=NOW_S - 3, **spec):
    parsed = parse_node(node_manifest(status=status, **spec), LIMITS)
    return view_node(parsed, heartbeat_s, NOW_S, LIMITS)


@pytest.mark.parametrize("case", NODES)
def test_nodes(case):
    status, spec, ready, agreed = NODES[case]

    assert node_status(seen(status, **spec), (), {}, NOW_S) == {
        "conditions": [said(*ready), said(*agreed), said(*SOUND)],
        "lastHeartbeatTime": rfc3339(NOW_S - 3),
    }


def test_a_node_never_heard_of_has_no_heartbeat():
    words = "its agent has never renewed its Lease"

    assert node_status(seen(heartbeat_s=None), (), {}, NOW_S) == {
        "conditions": [
            said("Ready", "False", "NodeUnreachable", words),
            said(*AGREED),
            said(*SOUND),
        ]
    }


# Seconds since the renewal that is shown, and since the last; whether the last is shown now.
HEARTBEATS = {
    "old": (303, 3, True),
    "younger": (302, 3, False),
    "silent: its last is shown": (500, 500, False),
    "none shown": (None, 3, True),
}


@pytest.mark.parametrize("case", HEARTBEATS)
def test_a_node_that_lives_never_looks_older_than_one_that_died(case):
    shown_s, last_s, is_news = HEARTBEATS[case]
    node = seen(heartbeat_s=NOW_S - last_s)
    known = node_status(node, (), {}, NOW_S)
    known |= {"lastHeartbeatTime": rfc3339(NOW_S - shown_s) if shown_s else None}

    told = node_status(node, (), known, NOW_S)

    assert (told is not None) is is_news
    if is_news:
        assert told["lastHeartbeatTime"] == rfc3339(NOW_S - last_s)


def test_only_what_changed_gets_a_new_time():
    known = {"conditions": [said(*row, NOW_S - 99) for row in (READY, AGREED, SOUND)]}

    told = node_status(seen({"switch": "Paused"}), (), known, NOW_S)

    times = [row["lastTransitionTime"] for row in told["conditions"]]
    assert times == [rfc3339(NOW_S), rfc3339(NOW_S - 99), rfc3339(NOW_S - 99)]


EE = site()

LENT = {
    "no machines": ((), {}, 0),
    "no GPUs": ((PLAIN,), {}, 0),
    "whole": ((L40S, H200, PLAIN), {}, 20),
    "two kinds of machine, one class": ((L40S, L40S), {"nvidia-l40s": 20}, 20),
    "a part": ((L40S, H200), {"nvidia-l40s": 5}, 13),
    "none of a class": ((L40S, H200), {"nvidia-l40s": 0}, 8),
    "more than there are": ((L40S,), {"nvidia-l40s": 99}, 12),
}


@pytest.mark.parametrize("case", LENT)
def test_gpus_lent(case):
    machines, lent, expected = LENT[case]

    assert site_gpus(site(machines=machines, lent_gpus=lent)) == expected


def job(uid, institution="clinic", *, pool="league", workers=0, gpus=2):
    held = (Holding("tartu", 1, workers, 0),) if workers else ()
    return Job(uid, uid, institution, pool, Shape(4, gpus), 0, holdings=held)


POOL = parse_pool(
    {"metadata": {"name": "league", "generation": 1}, "spec": {"residency": EVERYWHERE}}
)
AWAY = site("riga", "LV", unavailable=Reason.NODE_UNREACHABLE)
JOBS = (
    job("a", workers=4),
    job("b", workers=1),
    job("c"),
    job("d", "lab"),
    job("just come", "lab"),
    job("nobody's", ""),
    job("of another pool", pool="other", workers=4),
)


def told(pool=POOL, sites=(EE, AWAY), jobs=JOBS, present=None, notices=()):
    snapshot = Snapshot(0, sites, (pool.pool,), jobs)
    return pool_status(pool, snapshot, notices, present or {}, NOW_S)


POOL_READY = ("Ready", "True", "Ready", "Nodes of it take work.")


def test_a_pool_counts_its_own():
    assert told() == {
        "observedGeneration": 1,
        "nodes": 1,
        "gpusTotal": 12,
        "gpusAllocated": 10,
        "queued": 4,
        "shares": [
            {"institution": "clinic", "usedGpus": 10, "queued": 1},
            {"institution": "lab", "usedGpus": 0, "queued": 2},
        ],
        "conditions": [said(*POOL_READY), said(*SOUND)],
    }


CLOSED = dataclasses.replace(POOL, fault="nodes: wrong")
POOLS = {
    "cannot be read": (CLOSED, (EE,), ("Misconfigured", "nodes: wrong")),
    "no nodes": (POOL, (), ("NoNodes", "No node matches spec.nodes.")),
    "none ready": (POOL, (AWAY,), ("NodeNotReady", "No node of it takes work.")),
}


@pytest.mark.parametrize("case", POOLS)
def test_a_pool_that_is_not_ready(case):
    pool, sites, (reason, message) = POOLS[case]

    assert told(pool, sites)["conditions"] == [
        said("Ready", "False", reason, message),
        said(*SOUND),
    ]


SAME = {"as written": {}, "with fields of others": {"note": "kept"}}


@pytest.mark.parametrize("case", SAME)
def test_nothing_new_is_not_written_again(case):
    assert told(present=told() | SAME[case]) is None


def test_no_shares_shown_is_the_same_as_none():
    known = {key: value for key, value in told(jobs=()).items() if key != "shares"}

    assert told(jobs=(), present=known) is None


def test_the_list_of_shares_is_bounded():
    crowd = tuple(job(str(n), f"lab-{n:03}", workers=1) for n in range(300))

    status = told(jobs=crowd)

    assert len(status["shares"]) == 256
    assert status["gpusAllocated"] == 600


def notice(reason, message, **more):
    return Notice("ComputePool", "league", reason, message, **more)


TIGHT = notice(Reason.EXCEEDS_CAP, "at most 3 of 16 GPUs")
NOUGHT = notice(Reason.EXCEEDS_CAP, "at most 0 of 16 GPUs", is_total=True)
ODD = notice(Reason.MISCONFIGURED, "cohort a lies inside itself")
NOTHING = "Nothing can be placed there: the condition Sound says why."
NOTICED = {
    "something is lost": (
        (TIGHT,),
        READY,
        ("Sound", "False", "ExceedsConcentrationCap", "at most 3 of 16 GPUs"),
    ),
    "the gravest is named, and all are told": (
        (TIGHT, ODD),
        READY,
        ("Sound", "False", "Misconfigured", "cohort a lies inside itself; at most 3 of 16 GPUs"),
    ),
    "what ends everything comes first": (
        (ODD, NOUGHT),
        ("Ready", "False", "ExceedsConcentrationCap", NOTHING),
        (
            "Sound",
            "False",
            "ExceedsConcentrationCap",
            "at most 0 of 16 GPUs; cohort a lies inside itself",
        ),
    ),
}


@pytest.mark.parametrize("case", NOTICED)
def test_what_the_planner_found_wrong_is_on_the_object(case):
    notices, ready, sound = NOTICED[case]
    of_pool = POOL_READY if ready is READY else ready

    assert told(notices=notices)["conditions"] == [said(*of_pool), said(*sound)]
    assert node_status(seen(), notices, {}, NOW_S)["conditions"] == [
        said(*ready),
        said(*AGREED),
        said(*sound),
    ]


def test_a_node_that_is_not_ready_says_so_before_anything_else():
    status = node_status(seen({"switch": "Paused"}), (NOUGHT,), {}, NOW_S)

    assert status["conditions"][0]["reason"] == "NodePaused"


CHANGES = {
    "found": ((), (TIGHT,), (Reason.EXCEEDS_CAP, "at most 3 of 16 GPUs")),
    "the same": ((TIGHT,), (TIGHT,), None),
    "another of that reason": ((TIGHT,), (NOUGHT,), (Reason.EXCEEDS_CAP, "at most 0 of 16 GPUs")),
    "mended": ((TIGHT,), (), None),
    "never": ((), (), None),
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_fault_is_written_and_told_once(case):
    before, after, news = CHANGES[case]
    known = told(notices=before)

    status = told(notices=after, present=known)

    assert (status is None) == (before == after)
    assert unsound(status, known) == news


def test_nothing_is_called_for_each_job_that_waits():
    """Fifty thousand wait, and it is looked at every few seconds on the event loop."""

    def calls(jobs: int) -> int:
        queue = tuple(job(f"u{n}") for n in range(jobs))
        count = 0

        def note(_, event, __):
            nonlocal count
            count += event == "call"

        sys.setprofile(note)
        try:
            told(jobs=queue)
        finally:
            sys.setprofile(None)
        return count

    assert calls(1000) == calls(10)
