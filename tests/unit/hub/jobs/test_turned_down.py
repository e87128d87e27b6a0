"""A job that nodes turn down, or cannot run, is tried elsewhere, and not in turn for ever."""

from __future__ import annotations

import itertools

import pytest

from hansa.grants.reasons import NODE_FAULTS
from hansa.model.times import rfc3339
from hansa.reconcile.fencing import sign_release
from hansa.reconcile.hub import refusals
from tests.unit.hub import kit
from tests.unit.reconcile.hub.hub_objects import condition

TENANT = condition("Accepted", "False", "TenantNotAccepted", "not for them")
FULL = condition("Accepted", "False", "DiskFull", "no disk left")


@pytest.fixture
def store(clock):
    store = kit.Store(clock)
    kit.namespace(store)
    kit.pool(store)
    return store


def join(store, count):
    for number in range(count):
        kit.node(store, f"n{number:03}", kit.lent())


def status(store):
    return store.objects[kit.job_path("study")]["status"]


def reason(store):
    rows = {row["type"]: row for row in status(store)["conditions"]}
    return rows["Placed"]["reason"], rows["Placed"]["message"]


def held_at(store):
    """The grant that the job holds now: (path, node, epoch); None: none."""
    told = status(store)
    for path, grant in kit.grants(store).items():
        if grant["spec"]["epoch"] == told["epoch"] and grant["spec"]["node"] == told.get("node"):
            return path, grant["spec"]["node"], told["epoch"]
    return None


def answer_all(hub, answer, rounds):
    """Let whoever is asked answer; return the nodes asked, in order."""
    asked = []
    for _ in range(rounds):
        held = held_at(hub.store)
        if held is None:
            break
        path, node, epoch = held
        asked.append(node)
        kit.answer(hub.store, path, answer(hub, path, node, epoch))
        for _ in range(3):
            kit.later(hub)
    return asked


def refuses(said):
    return lambda *_: {"policyGeneration": 1, "conditions": [said]}


def fails(why, *, told="Interrupted"):
    """A member that accepts, and signs soon after that nothing came of it."""

    def answer(hub, path, node, epoch):
        uid = hub.store.objects[path]["spec"]["job"]["uid"]
        word = sign_release(kit.SIGNER, node=node, job_uid=uid, epoch=epoch, now_s=hub.clock.now())
        said = [condition("Accepted"), condition("Running", "False", why, "it broke")]
        said += [condition("Failed", "True", why, "it broke")] if told == "Failed" else []
        said += [condition("Released", "True", why)]
        return {
            "acceptedAt": rfc3339(hub.clock.now()),
            "release": word,
            "policyGeneration": 1,
            "conditions": said,
        }

    return answer


def begun(store, clock, nodes, **spec):
    join(store, nodes)
    kit.submit(store, "study", **kit.gpus(1), **spec)
    hub = kit.led(store, clock)
    for _ in range(2):
        kit.later(hub)
    return hub


@pytest.mark.parametrize("why", sorted(NODE_FAULTS))
@pytest.mark.parametrize("told", ["Interrupted", "Failed"])
def test_a_run_that_failed_by_its_nodes_fault_is_tried_at_another(store, clock, why, told):
    """Also where an older agent says that the job has failed."""
    hub = begun(store, clock, 2)
    path, first, epoch = held_at(store)
    answer = fails(why, told=told)(hub, path, first, epoch)
    kit.answer(store, path, {name: said for name, said in answer.items() if name != "release"})
    kit.later(hub)
    assert held_at(store) == (path, first, 1), "it may still run there"

    answer_all(hub, fails(why, told=told), 1)

    (_, second, epoch) = held_at(store)
    assert (second != first, epoch) == (True, 2)
    assert [(row["node"], row["reason"]) for row in status(store)["refusals"]] == [(first, why)]


@pytest.mark.parametrize("why", ["Unattended", "Deleted"])
def test_what_is_given_back_before_it_began_is_not_granted_again_at_once(store, clock, why):
    """Else a node that takes and drops everything has a hub write grants as fast as it can."""
    hub = begun(store, clock, 1)
    for wait_s in (60, 120, 240):
        assert answer_all(hub, fails(why), 5) == ["n000"], "asked again without a pause"
        clock.now_s += wait_s + 1
        for _ in range(3):
            kit.later(hub)
    assert held_at(store) is not None, "never asked again"
    assert status(store)["refusals"][0]["reason"] == why


def test_a_job_that_no_node_can_run_says_so_and_is_tried_a_few_times_only(store, clock):
    hub = begun(store, clock, 3, retry={"limit": 100})

    asked = answer_all(hub, fails("RenderFailed"), 9)

    assert sorted(asked) == ["n000", "n001", "n002"]
    assert reason(store)[0] == "NodeRefused"
    verdicts = {row["node"]: (row["reason"], row["message"]) for row in status(store)["verdicts"]}
    assert set(verdicts.values()) == {("NodeRefused", "it broke")}
    for _ in range(40):
        clock.now_s += 6 * refusals.RUN_AGAIN_S
        for name in ("n000", "n001", "n002"):
            kit.beat(store, name)
        hub.plans.look_at_clock()
        kit.later(hub)
        asked += answer_all(hub, fails("RenderFailed"), 9)
    assert len(asked) == 3 * refusals.MOST_RUNS


def test_a_node_that_could_not_run_it_is_tried_again_when_its_policy_changes(store, clock):
    hub = begun(store, clock, 1)
    assert answer_all(hub, fails("NeverStarted"), 5) == ["n000"]

    kit.node(store, "n000", {**kit.lent(), "policyGeneration": 2})
    kit.later(hub)
    kit.later(hub)

    assert held_at(store)[1:] == ("n000", 2)


def test_forty_nodes_that_refuse_are_asked_once_each(store, clock):
    hub = begun(store, clock, 40)

    asked = answer_all(hub, refuses(TENANT), 90)

    assert len(asked) == len(set(asked)) == 40
    assert reason(store)[0] == "NodeRefused"
    assert len(status(store)["refusals"]) == 40
    assert sum("message" in row for row in status(store)["refusals"]) == refusals.MOST_WORDED


def test_a_refusal_that_may_pass_is_asked_again_after_twice_as_long_each_time(store, clock):
    hub = begun(store, clock, 1)
    at_s = []
    for _ in range(4 * 60):
        if answer_all(hub, refuses(FULL), 1):
            at_s.append(clock.now_s)
        clock.now_s += 10
        kit.beat(store, "n000")
        hub.plans.look_at_clock()
        kit.later(hub)

    pauses_s = [after - before for before, after in itertools.pairwise(at_s)]
    assert len(pauses_s) >= 4
    for number, pause_s in enumerate(pauses_s):
        assert pause_s >= refusals.ASK_AGAIN_S * 2**number


def test_a_grant_that_the_hub_took_back_before_it_was_answered_is_no_refusal(store, clock):
    """It stops who has not accepted in time, or for another's sake: the node never said no."""
    said = condition("Accepted", "False", "Withdrawn", "taken back")
    hub = begun(store, clock, 1)
    for wait_s in (60, 120, 240, 240):
        assert answer_all(hub, refuses(said), 5) == ["n000"]
        clock.now_s += wait_s + 1
        kit.beat(store, "n000")
        hub.plans.look_at_clock()
        for _ in range(3):
            kit.later(hub)
    assert held_at(store) is not None, "never asked again"


def test_more_nodes_than_are_remembered_are_not_asked_in_turn(store, clock, monkeypatch):
    monkeypatch.setattr(refusals, "MOST_NODES", 3)
    hub = begun(store, clock, 5)

    asked = answer_all(hub, refuses(TENANT), 30)

    assert len(asked) == 3
    assert reason(store)[0] == "NodeRefused"


def ended(store):
    rows = {row["type"]: row for row in status(store)["conditions"]}
    return (rows["Failed"]["reason"], rows["Failed"]["message"]) if "Failed" in rows else None


def counts(store):
    return {row["cause"]: row["times"] for row in status(store).get("retries", ())}


def look_later(hub, names):
    for _ in range(40):
        hub.clock.now_s += 6 * refusals.RUN_AGAIN_S
        for name in names:
            kit.beat(hub.store, name)
        hub.plans.look_at_clock()
        kit.later(hub)


def test_a_job_that_breaks_wherever_it_runs_goes_elsewhere_and_then_gives_up(store, clock):
    hub = begun(store, clock, 9)

    asked = answer_all(hub, fails("ImageNotPulled"), 20)

    assert len(asked) == len(set(asked)) == 7, "six tries beyond the first, each elsewhere"
    assert counts(store) == {"ImageNotPulled": 6}
    why, words = ended(store)
    assert why == "ImageNotPulled"
    assert words == f"it broke That was run 7, at node {asked[-1]}; spec.retry allows no more."
    look_later(hub, ("n000", "n008"))
    assert held_at(store) is None


# What spec.retry says, how the runs end, and the runs that there are.
RETRIES = {
    "a command that fails": ({}, ["AppFailed"], 1),
    "out of memory": ({}, ["OutOfMemory"], 1),
    "a command that may fail twice": (
        {"causes": [{"cause": "AppFailed", "limit": 2}]},
        ["AppFailed"],
        3,
    ),
    "no retries": ({"limit": 0}, ["MachineLost"], 1),
    "none for one cause": (
        {"causes": [{"cause": "Evicted", "limit": 0}]},
        ["MachineLost", "Evicted"],
        2,
    ),
    "one limit over all causes": ({"limit": 2}, ["MachineLost", "Evicted"], 3),
    "the cluster's first, its own last": ({}, ["HeadLost", "NoRoom", "AppFailed"], 3),
    "what somebody stopped does not count": ({"limit": 1}, [*["Cancelled"] * 4, "Evicted"], 6),
}


@pytest.mark.parametrize("case", RETRIES)
def test_how_often_a_job_is_tried(store, clock, case):
    retry, ends, runs = RETRIES[case]
    hub = begun(store, clock, 9, retry=retry)
    whys = itertools.chain(ends, itertools.repeat(ends[-1]))
    given_up = {"AppFailed", "OutOfMemory"}

    def answer(*args):
        why = next(whys)
        return fails(why, told="Failed" if why in given_up else "Interrupted")(*args)

    asked = answer_all(hub, answer, 12)

    assert len(asked) == runs
    assert ended(store)[0] == (ends[-1])


def test_a_job_whose_machine_was_lost_may_run_at_the_same_node(store, clock):
    hub = begun(store, clock, 1)
    assert answer_all(hub, fails("MachineLost"), 2) == ["n000", "n000"]
    assert counts(store) == {"MachineLost": 2}
    assert "refusals" not in status(store)
