"""What belongs to a job and not to one run of it: its cost, its time in the queue, its generation."""

from __future__ import annotations

import pytest

from hansa.model.times import rfc3339
from hansa.reconcile.fencing import sign_release
from tests.unit.hub import kit
from tests.unit.hub.driving import driven
from tests.unit.reconcile.hub.hub_objects import condition

HOUR_S = 3600
PRICES = [{"gpuClass": "nvidia-l40s", "perGpuHour": "10"}]
STUDY = kit.job_path("study")


@pytest.fixture
def store(clock):
    store = kit.Store(clock)
    kit.namespace(store)
    kit.pool(store)
    kit.node(store, "tartu", kit.lent(), prices=PRICES)
    return store


def status(store):
    return store.objects[STUDY]["status"]


def reason(store):
    rows = {row["type"]: row for row in status(store)["conditions"]}
    return rows["Placed"]["reason"], rows["Placed"]["message"]


def wait(hub, seconds=1.0, times=3):
    for _ in range(times):
        hub.clock.now_s += seconds
        kit.beat(hub.store, "tartu")
        hub.plans.look_at_clock()
        hub.settle_down()


def run(hub, seconds, *, ends="Cancelled"):
    """Let the job's present run go on for a while, and end."""
    path, grant = [*kit.grants(hub.store).items()][-1]
    started = rfc3339(hub.clock.now())
    said = [condition("Accepted"), condition("Running")]
    running = {"acceptedAt": started, "runningAt": started, "conditions": said}
    kit.answer(hub.store, path, running)
    wait(hub, 1, 1)
    wait(hub, seconds - 1, 1)
    spec, now_s = grant["spec"], hub.clock.now()
    word = sign_release(
        kit.SIGNER, node="tartu", job_uid=spec["job"]["uid"], epoch=spec["epoch"], now_s=now_s
    )
    over = [condition("Accepted"), condition("Running", "False", ends)]
    ended = {"release": word, "finishedAt": rfc3339(now_s), "conditions": over}
    kit.answer(hub.store, path, running | ended)
    wait(hub)


def test_a_budget_is_spent_by_all_runs_together(store, clock):
    """Three runs of an hour at 18 each, of a job that may cost 40 and asks for an hour."""
    budget = {"limit": "40", "currency": "EUR"}
    kit.submit(store, "study", **kit.gpus(1), budget=budget, maxRuntimeSeconds=HOUR_S)
    kit.node(store, "tartu", kit.lent(), prices=[PRICES[0] | {"perGpuHour": "18"}])
    hub = kit.led(store, clock)
    wait(hub)

    run(hub, HOUR_S)
    first = status(store)["cost"]
    run(hub, HOUR_S)

    assert first == {"amount": "18", "currency": "EUR"}
    assert status(store)["epoch"] == 2
    assert status(store)["cost"] == {"amount": "36", "currency": "EUR"}
    assert status(store)["usage"] == {"gpuSeconds": 2 * HOUR_S, "wallSeconds": 2 * HOUR_S}
    assert reason(store)[0] == "OverBudget"


def test_a_job_whose_runs_cost_its_budget_is_told_the_sum(store, clock):
    kit.submit(
        store,
        "study",
        **kit.gpus(4),
        budget={"limit": "40", "currency": "EUR"},
        maxRuntimeSeconds=HOUR_S,
    )
    hub = kit.led(store, clock)
    wait(hub)

    run(hub, HOUR_S)

    said, words = reason(store)
    assert (said, "cost 40 EUR, its budget is 40 EUR" in words) == ("OverBudget", True)


def test_time_suspended_or_running_gives_no_rank(store, clock):
    kit.submit(store, "study", **kit.gpus(99), suspend=True)
    hub = kit.led(store, clock)
    wait(hub)
    wait(hub, 9 * HOUR_S, 1)

    kit.respec(store, STUDY, suspend=False)
    wait(hub, 10)

    (job,) = hub.plans.snapshot.jobs
    assert clock.now_s - job.submitted_s <= 40
    assert reason(store)[0] == "ExceedsNodeShape"


def test_a_job_that_was_suspended_starts_again(store, clock):
    kit.submit(store, "study", **kit.gpus(1), suspend=True)
    hub = kit.led(store, clock)
    wait(hub)
    kit.respec(store, STUDY, suspend=False)
    wait(hub)

    assert status(store)["node"] == "tartu"


def test_a_spec_changed_after_the_end_is_seen(store, clock):
    """Whoever applied it with GitOps waits for that; also where no hub led when it changed."""
    ended = {"conditions": [condition("Succeeded")], "observedGeneration": 1, "epoch": 1}
    kit.submit(store, "study")
    store.put(STUDY, {**store.objects[STUDY], "status": ended})
    hub = kit.led(store, clock)
    kit.respec(store, STUDY, maxRuntimeSeconds=7)
    hub.settle_down()
    assert status(store) == ended | {"observedGeneration": 2}

    hub.step_down()
    kit.respec(store, STUDY, maxRuntimeSeconds=8)
    hub.hear()
    hub.lead()
    hub.settle_down()
    assert status(store) == ended | {"observedGeneration": 3}

    version = store.version
    driven(hub.controller.resync())
    hub.settle_down()
    assert store.version == version


def test_a_start_that_a_member_puts_years_ahead_is_not_believed(store, clock):
    kit.submit(store, "study", **kit.gpus(1))
    hub = kit.led(store, clock)
    wait(hub)
    (path,) = kit.grants(store)
    said = [condition("Accepted"), condition("Running")]
    ahead = {"acceptedAt": "2099-01-01T00:00:00Z", "runningAt": "2099-01-01T00:00:00Z"}
    kit.answer(store, path, ahead | {"conditions": said})
    wait(hub, 1, 1)
    seen_s = clock.now_s
    wait(hub, 600, 2)

    assert status(store)["runningAt"] == rfc3339(seen_s)
    ((holding,),) = [job.holdings for job in hub.plans.snapshot.jobs]
    assert holding.since_s == seen_s
    version = store.version
    wait(hub, 600, 2)
    assert store.version == version + 2, "heartbeats alone"
