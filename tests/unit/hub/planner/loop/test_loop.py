"""The planning loop over real caches: what is told when, to whom, and what a pass costs nothing."""

from __future__ import annotations

import pytest

from hansa.hub.planner.usage_history import EVERY_S
from hansa.model.history import RunTimes
from hansa.model.plan import Placement, Stop, Waiting
from hansa.model.reasons import Reason
from hansa.model.snapshot import Job, Shape
from hansa.reconcile.hub.usage_history import JobPast
from tests.unit.hub import kit
from tests.unit.reconcile.hub.hub_objects import ACCEPTED, condition

PREEMPTS = {"policy": "LowerPriority", "minRuntimeSeconds": 0}


@pytest.fixture
def store(clock):
    store = kit.Store(clock)
    kit.node(store, "tartu", kit.lent(machines=1, each=4))
    kit.namespace(store)
    kit.namespace(store, "lab", "university")
    kit.pool(store, preemption=PREEMPTS)
    return store


def accept(hub):
    for path in kit.grants(hub.store):
        kit.answer(hub.store, path, ACCEPTED)
    kit.later(hub)


def status(hub, name, space="clinic"):
    return hub.store.objects[kit.job_path(name, space)]["status"]


def placed(hub, name, space="clinic"):
    rows = status(hub, name, space).get("conditions", ())
    return {row["type"]: row["reason"] for row in rows}.get("Placed")


def test_a_placement_does_not_wait_for_a_full_plan(hub):
    """The pause after the first full plan has not passed."""
    before = hub.plans.plan
    uid = kit.submit(hub.store, "a", **kit.gpus(1))
    hub.settle_down()
    assert [g["spec"]["job"]["uid"] for g in kit.grants(hub.store).values()] == [uid]
    assert hub.plans.plan is before
    (job,) = [job for job in hub.plans.snapshot.jobs if job.uid == uid]
    assert [(h.site, h.epoch, h.gpu_class) for h in job.holdings] == [("tartu", 1, "nvidia-l40s")]


def test_a_new_leader_writes_what_is_due_before_it_has_planned(store, clock):
    """The one before it recorded an epoch and died: the grant says whose work it is, and by what law."""
    kit.submit(store, "halfway", **kit.gpus(1))
    path = kit.job_path("halfway")
    store.put(path, {**store.objects[path], "status": {"epoch": 7, "node": "tartu"}})

    kit.led(store, clock).work()

    (grant,) = kit.grants(store).values()
    assert (grant["spec"]["epoch"], grant["spec"]["institution"]) == (7, "clinic")


WAITING = {
    "too large": ({}, kit.gpus(5), "ExceedsNodeShape"),
    "unknown pool": ({}, {"pool": "atlantis"}, "UnknownPool"),
    "of a new institution": ({"space": "lab"}, kit.gpus(1, 8), "ExceedsNodeShape"),
}


@pytest.mark.parametrize("case", WAITING)
def test_whoever_waits_is_told_why_with_the_next_full_plan(hub, case):
    where, spec, reason = WAITING[case]
    kit.submit(hub.store, "a", **where, **spec)
    hub.settle_down()
    kit.later(hub)
    assert placed(hub, "a", **where) == reason


def test_who_waits_for_the_same_reason_is_not_looked_at_again(hub):
    for number in range(6):
        kit.submit(hub.store, f"j{number}", **kit.gpus(1))
    kit.later(hub)
    waiting = [name for name in ("j4", "j5") if placed(hub, name) == "WaitingForCapacity"]
    assert waiting == ["j4", "j5"]
    kit.submit(hub.store, "j6", **kit.gpus(1))
    hub.clock.now_s += 1
    hub.hear()
    assert hub.plan() == [("uid-of-clinic-j6", False)]


def test_heartbeats_and_figures_of_nodes_cost_nothing(hub, store):
    hub.settle_down()
    planner, league = hub.plans._planner, hub.league.view
    kit.node(store, "tartu", {**kit.lent(machines=1, each=4), "agentVersion": "0.2.0"})
    hub.clock.now_s += 5
    hub.hear()
    assert hub.plans._due.is_set()
    assert hub.plan() == []
    assert (hub.plans._planner, hub.league.view) == (planner, league)
    assert not hub.plans._full.is_stale


LIGHT = {
    "cordoned": ({"scheduling": "Cordoned"}, {}, True),
    "another price": ({"cpuHourPrice": "0.5"}, {}, True),
    "grown": ({}, kit.lent(machines=2, each=4), True),
    "another key": ({}, {"releaseKey": "x" * 44}, True),
}


@pytest.mark.parametrize("case", LIGHT)
def test_a_changed_node_is_taken_in_without_a_new_planner(hub, store, case):
    spec, told, is_kept = LIGHT[case]
    planner = hub.plans._planner
    kit.node(store, "tartu", {**kit.lent(machines=1, each=4), **told}, **spec)
    hub.settle_down()
    assert (hub.plans._planner is planner) is is_kept
    assert hub.plans.snapshot.sites == tuple(v.site for v in hub.league.view.nodes.values())


def test_run_times_are_learned_without_a_new_planner(hub):
    hub.settle_down()
    planner = hub.plans._planner
    hub.plans._past._jobs["ended"] = JobPast("clinic", "league", 1, 3600, 700, 700, 1.0, ())
    hub.plans.full_due()
    kit.later(hub, EVERY_S + 1)
    assert hub.plans._planner is planner
    alike = Job("next", "clinic/next", "clinic", "league", Shape(1, 1), 0, max_runtime_s=3600)
    assert planner.league.run_time(alike) == RunTimes.fit([700])


def band(hub, uid):
    (said,) = [said for said in hub.plans.plan.waiting if said.job_uid == uid]
    return said.start_p10_s, said.start_p50_s, said.start_p90_s


def test_a_new_planner_remembers_what_came_of_start_estimates(hub, store):
    """Learned: starts come at half the time told. Another pool, another leader: still known."""
    kit.submit(store, "runs", **kit.gpus(4))
    kit.later(hub)
    accept(hub)
    promises, now_s = hub.plans._kept.promises, int(hub.clock.now_s)
    for wait_s in (30, 1000, 7200, 40_000, 100_000):
        for number in range(20):
            said = Waiting(f"{wait_s}-{number}", Reason.PENDING, "", 0, now_s + wait_s)
            promises.told([said], now_s)
            promises.started(said.job_uid, now_s + wait_s // 2 + number)
    uid = kit.submit(store, "waits", **kit.gpus(4))
    kit.later(hub)
    planner, told = hub.plans._planner, band(hub, uid)
    assert None not in told
    kit.pool(store, "second", preemption=PREEMPTS)
    kit.later(hub)
    assert hub.plans._planner is planner
    assert band(hub, uid) == pytest.approx(told, abs=30)
    hub.step_down()
    hub.lead()
    kit.later(hub)
    assert band(hub, uid) == pytest.approx(told, abs=60)
    assert uid in promises._order


def test_what_was_promised_to_a_job_that_went_unseen_is_not_kept_open(hub, store):
    kit.submit(store, "runs", **kit.gpus(4))
    kit.later(hub)
    accept(hub)
    uid = kit.submit(store, "waits", **kit.gpus(4))
    kit.later(hub)
    assert uid in hub.plans._kept.promises._order
    kit.erase(store, kit.job_path("waits"))
    hub.step_down()
    hub.hear()
    hub.lead()
    kit.later(hub)
    assert uid not in hub.plans._kept.promises._order


def test_a_refusal_counts_before_it_is_written(hub, store):
    """Planned between a node's no and the record of it: the node is not asked again."""
    uid = kit.submit(store, "a", **kit.gpus(1))
    kit.later(hub)
    (path,) = kit.grants(store)
    no = condition("Accepted", "False", "TenantNotAccepted", "we do not work for them")
    kit.answer(store, path, {"conditions": [no]})
    hub.hear()
    hub.plan()
    assert not isinstance(hub.plans.decision(uid), Placement)
    kit.later(hub)
    assert placed(hub, "a") == "NodeRefused"
    assert status(hub, "a")["epoch"] == 1


def test_a_lost_write_is_planned_anew_after_a_pause(hub, store):
    """At once it would be lost at once, as often as the API server says that it is busy."""
    uid = kit.submit(store, "a", **kit.gpus(1))
    hub.hear()
    hub.plan()
    store.trouble = "lost"
    hub.work(1)
    assert hub.plan() == []
    hub.queue.come_back()
    hub.work()
    assert hub.plans.decision(uid) is None
    assert hub.plan() == [(uid, True)]


def test_a_decision_for_a_changed_spec_is_dropped(hub, store):
    uid = kit.submit(store, "a", **kit.gpus(1))
    hub.hear()
    hub.plan()
    assert isinstance(hub.plans.decision(uid), Placement)
    kit.respec(store, kit.job_path("a"), suspend=True)
    hub.hear()
    assert hub.plans.decision(uid) is None
    kit.later(hub)
    assert (kit.grants(store), placed(hub, "a")) == ({}, "Suspended")


def test_settling_an_older_decision_keeps_the_newer(hub, store):
    uid = kit.submit(store, "a", **kit.gpus(1))
    hub.hear()
    hub.plan()
    decision = hub.plans.decision(uid)
    hub.plans.settle(uid, None, ok=True)
    assert hub.plans.decision(uid) is decision


def stops_for_a_graver_job(hub, store):
    """Have ``clinic/victim`` run on all GPUs, and planned to stop for ``lab/gains``."""
    kit.submit(store, "victim", **kit.gpus(4))
    kit.later(hub)
    accept(hub)
    kit.submit(store, "gains", "lab", priority=900, **kit.gpus(4))
    hub.clock.now_s += 1
    hub.hear()
    hub.plan()


def test_a_stop_names_the_institution_that_gains(hub, store):
    stops_for_a_graver_job(hub, store)

    stop = hub.plans.decision("uid-of-clinic-victim")
    assert isinstance(stop, Stop)
    assert hub.plans.gainer("uid-of-clinic-victim") == "university"
    assert hub.plans.gainer("uid-of-lab-gains") == hub.plans.gainer("nobody") == ""
    hub.work()
    (grant,) = kit.grants(store).values()
    assert grant["spec"]["cancel"] == "Stop"
    hub.plan()
    assert hub.plans.decision("uid-of-clinic-victim") is None


def test_a_stop_in_favour_of_nobody_any_more_is_withdrawn(hub, store):
    stops_for_a_graver_job(hub, store)
    kit.erase(store, kit.job_path("gains", "lab"))
    hub.clock.now_s += 1
    hub.hear()
    hub.plan()

    assert hub.plans.decision("uid-of-clinic-victim") is None
    (job,) = hub.plans.snapshot.jobs
    assert [held.stopping for held in job.holdings] == [False]


def test_a_job_being_deleted_is_not_placed(hub, store):
    kit.submit(store, "a", **kit.gpus(1))
    path = kit.job_path("a")
    store.objects[path]["metadata"]["finalizers"] = ["someone.else/waits"]
    kit.erase(store, path)
    hub.settle_down()
    assert (hub.plan(), kit.grants(store)) == ([], {})


def test_a_waiting_job_has_verdicts_and_a_running_one_none(hub, store):
    waits = kit.submit(store, "a", **kit.gpus(5))
    kit.later(hub)
    assert isinstance(hub.plans.decision(waits), Waiting)
    assert [row.site for row in hub.plans.verdicts(waits)] == ["tartu"]
    assert hub.plans.verdicts("nobody") == ()


def test_others_are_stopped_for_who_waits_once_they_have_run_long_enough(hub):
    """Though nothing happens meanwhile that would ask for a plan."""
    kit.pool(hub.store, preemption=PREEMPTS | {"minRuntimeSeconds": 300})
    kit.submit(hub.store, "low", **kit.gpus(4))
    kit.later(hub)
    accept(hub)
    (path,) = kit.grants(hub.store)
    kit.submit(hub.store, "high", priority=100, **kit.gpus(4))
    kit.later(hub, 2.0)
    assert (placed(hub, "high"), kit.grants(hub.store)[path]["spec"]["cancel"]) == (
        "WaitingForCapacity",
        "None",
    )
    for _ in range(8):
        kit.beat(hub.store, "tartu")
        hub.clock.now_s += 45
        hub.plans.look_at_clock()
        hub.settle_down()
    assert kit.grants(hub.store)[path]["spec"]["cancel"] == "Stop"
