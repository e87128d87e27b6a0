"""A hub that sends, answers and signs anything: the parts that read it go on, and tell no fault of ours."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from e2e.testbed.host.clock import PATIENCE_S
from hansa.errors import Retryable
from hansa.grants.checks import judge
from hansa.grants.epochs import Outcome
from hansa.grants.facts import Proposal
from hansa.grants.shape import claimed, misshapen
from hansa.grants.trust import read
from hansa.member.duties import Duties
from hansa.member.publisher import Publisher
from hansa.reconcile.member import grant_status
from hansa.reconcile.member.grant_status import Stamp
from hansa.reconcile.member.node_declaration import hub_note
from tests import hostile
from tests.hostile import Random
from tests.quick import quickest_s
from tests.unit.grants.grant_kit import HUB, NODE, NOW_S, facts, grant, job
from tests.unit.member.hostile_hub import LAW, SETTINGS, HostileHub, member_of

AT_MOST_S = 0.1
UIDS = "0f8c2f4e-7c1c-4f7b-9d9a-{:012x}"
SAID = {"type": "Accepted", "status": "False", "reason": "x", "lastTransitionTime": "x"}
PLAIN = job(data=[], ray={"version": "2.60.0"})
GRANT = {
    "metadata": {"name": "x-e1", "namespace": "hansa-node-tartu", "uid": "u", "generation": 1,
                 "resourceVersion": "7", "creationTimestamp": "2027-01-15T08:00:00Z"},
    "spec": grant(PLAIN),
    "status": {"conditions": [SAID], "release": {"epoch": 1}, "runningAt": "x"},
}  # fmt: skip
STAMP = Stamp(NOW_S, 1)


def hostile_grants(rng, count):
    """Grants with changes anywhere, most of them validly signed."""
    found = []
    for number in range(count):
        base = copy.deepcopy(GRANT)
        base["metadata"] |= {"name": f"x-e{number}", "uid": f"u{number}"}
        who = {"namespace": "hospital", "name": "study", "uid": UIDS.format(number)}
        base["spec"] = hostile.grant_spec(rng, grant(PLAIN, job=who), HUB)
        if rng.randrange(2):
            base.pop("status")
        found.append(hostile.mutated(rng, base) if rng.randrange(3) == 0 else base)
    return [one for one in found if isinstance(one, dict)]


@contextlib.contextmanager
def no_fault_of_ours(caplog):
    """A trace in the log means that something was not foreseen."""
    caplog.clear()
    with caplog.at_level(logging.ERROR):
        yield
    assert [record for record in caplog.records if record.exc_info] == []


@settings(max_examples=100, deadline=None)
@given(st.randoms(use_true_random=False))
def test_what_is_let_in_can_be_judged_and_told(rng):
    for one in hostile_grants(rng, 3):
        if misshapen(one):
            continue
        spec = one.get("spec") or {}
        judgement = judge(spec, LAW, facts())
        grant_status.reported(one)
        grant_status.accepted(one, "w", STAMP)
        if judgement.objections:
            assert judgement.objections[0].message
            grant_status.refused(one, judgement.objections, STAMP)


@settings(max_examples=200, deadline=None)
@given(st.randoms(use_true_random=False))
def test_nobody_reads_another_epoch_or_job_in_a_grant_than_the_judge(rng):
    """Once ``"3"`` was epoch 3 to the judge and none to its memory: a run that had ended was new."""
    spec = hostile.grant_spec(rng, grant(PLAIN), HUB, changes=2)
    proposal = read(spec)
    if isinstance(proposal, Proposal):
        found = proposal.spec
        assert claimed(spec) == (found.job.uid, found.epoch)
        assert spec["epoch"] is not True


OTHER_READINGS = {
    "a text": {"epoch": "3"},
    "a fraction": {"epoch": 3.0},
    "a truth": {"epoch": True},
    "workers as text": {"workers": "2"},
    "workers as truth": {"workers": True},
    "GPUs as text": {"jobSpec": PLAIN | {"ray": {"version": "2.60.0", "workers": {"count": "2"}}}},
    "a pythonic name": {"jobSpec": PLAIN | {"max_runtime_seconds": 5}},
    "a name twice": {"job_spec": PLAIN},
    "a text that is one": {"jobSpec": PLAIN | {"suspend": "no"}},
}


@pytest.mark.parametrize("changes", OTHER_READINGS.values(), ids=OTHER_READINGS)
def test_there_is_one_reading_of_a_grant(changes):
    spec = grant(PLAIN) | changes
    spec |= {"specDigest": hostile.digest(spec["jobSpec"])}
    found = judge(hostile.signed(spec, HUB), LAW, facts())
    assert [o.reason.value for o in found.objections] == ["Malformed"], found


def test_a_grant_without_its_job_under_its_name_is_no_grant():
    spec = grant(PLAIN)
    spec["job_spec"] = spec.pop("jobSpec")
    assert judge(spec, LAW, facts()).objections[0].reason.value == "Malformed"


@settings(max_examples=100, deadline=None)
@given(st.randoms(use_true_random=False))
def test_a_hub_may_say_anything_of_the_node(rng):
    node = {"spec": {"accepted": "Accepted"}, "status": {"conditions": [SAID]}}
    changed = hostile.mutated(rng, node, changes=3)
    said = hub_note(changed if isinstance(changed, dict) else {})
    assert isinstance(said, str)
    assert len(said) <= 1024


@pytest.mark.parametrize(
    "seed", [None, 3664442304], ids=["drawn", "a refused one of the same name"]
)
async def test_judging_a_thousand_signed_hostile_grants(caplog, seed, lot):
    """A good one among them is accepted all the same."""
    rng = Random(lot if seed is None else seed)
    hub = HostileHub(rng)
    hub.grants = hostile_grants(rng, 1000)
    good = copy.deepcopy(GRANT) | {"spec": grant(PLAIN), "status": {}}
    hub.grants.append(good)
    parts = member_of(hub)
    with no_fault_of_ours(caplog):
        tasks = [
            asyncio.create_task(one) for one in (parts.context.grants.run(), parts.judge.run())
        ]
        proposal = read(good["spec"])

        def record():
            return parts.context.epochs.records.get(proposal.spec.job.uid, 3)

        async with asyncio.timeout(PATIENCE_S):
            while record() is None:  # noqa: ASYNC110  # memory tells no event
                await asyncio.sleep(0.05)
            await parts.context.judging.wait()
        assert record().outcome is Outcome.ACCEPTED
        for task in tasks:
            assert not task.done()
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_duties_outlive_every_answer(caplog, lot):
    hub = HostileHub(Random(lot))
    parts = member_of(hub)
    duties = Duties(parts.context)
    publisher = Publisher(
        parts.context, release_key=NODE.public_key, token_end_s=lambda: NOW_S + 1e6
    )
    with no_fault_of_ours(caplog):
        for _ in range(300):
            with contextlib.suppress(Retryable):
                await duties.heartbeat()
            publisher._sent.clear()
            await publisher._publish()


def worst_grants():
    many = {f"k{number:05}": number for number in range(9_000)}
    text = "\u0001" * 4096
    return {
        "strings": job(data=[], env=[{"name": f"A{n}", "value": text} for n in range(16)]),
        "arguments": job(data=[], entrypoint=["x" * 4096] * 64, env=[
            {"name": f"A{n}", "value": "x" * 4096} for n in range(60)]),
        "unknown fields": job(data=[], **many),
        "wrong items": job(data=[1] * 9_000),
        "half an item": job(data=[{"nam": "x"}] * 4_000),
    }  # fmt: skip


RING = [f"overlay/o{number}" for number in range(16)] * 15
OVERLAYS_OF_EACH_OTHER = [{"name": f"o{number}", "places": RING} for number in range(16)]


def test_no_grant_that_is_let_in_takes_long_to_judge():
    specs = {name: hostile.signed(grant(body), HUB) for name, body in worst_grants().items()}
    specs["overlays"] = hostile.signed(grant(PLAIN, overlays=OVERLAYS_OF_EACH_OTHER), HUB)
    for name, spec in specs.items():
        one = GRANT | {"spec": spec}
        assert not misshapen(one), (name, misshapen(one))
        took = quickest_s(lambda one=one: _judge(one), AT_MOST_S)
        assert took < AT_MOST_S, (name, took)


def _judge(one):
    misshapen(one)
    judge(one["spec"], LAW, facts())


class SilentHub(HostileHub):
    """Takes no word of the member."""

    def answer(self, _):
        raise Retryable("no")


async def test_a_refusal_that_is_not_taken_is_counted_once_and_forgotten_with_its_grant():
    hub = SilentHub(Random(0))
    hub.grants = [copy.deepcopy(GRANT) | {"spec": {"job": 7}, "status": {}}]
    parts = member_of(hub)
    context = parts.context
    tasks = [asyncio.create_task(one) for one in (context.grants.run(), parts.judge.run())]
    async with asyncio.timeout(PATIENCE_S):
        while not parts.judge._untold:  # noqa: ASYNC110  # it tells no event
            await asyncio.sleep(0.01)
    await asyncio.sleep(10 * SETTINGS.timing.retry_seconds)
    assert context.refusals == {"Malformed": 1}
    context.grants.replace([])
    await asyncio.sleep(5 * SETTINGS.timing.retry_seconds)
    assert parts.judge._untold == {}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def test_an_event_of_a_refusal_repeats_nothing_of_what_cannot_be_read():
    parts = member_of(HostileHub(Random(0)))
    one = GRANT | {"spec": {"job": {"namespace": "x" * 300_000, "name": {"y": "z"}}}}
    parts.judge._count(one, judge(one["spec"], LAW, facts()))
    _, body = parts.context.recorder._queue.get_nowait()
    assert "xxx" not in body["note"]
    assert "x-e1" in body["note"]
    assert sum(len(part) for key in parts.context.recorder._said_until for part in key) < 1000


async def test_a_run_that_is_not_understood_keeps_no_other_from_its_end(caplog):
    parts = member_of(HostileHub(Random(0)))
    looked_at = []

    async def stop_due(name):
        looked_at.append(name)
        raise ZeroDivisionError

    parts.run_controller._stop_due, parts.context.run_index.names = stop_due, lambda: ["a", "b"]
    task = asyncio.create_task(parts.run_controller.watch_deadlines())
    async with asyncio.timeout(PATIENCE_S):
        while len(looked_at) < 4:  # noqa: ASYNC110  # it tells no event
            await asyncio.sleep(0.01)
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert looked_at[:4] == ["a", "b", "a", "b"]
    assert "run not understood" in caplog.text
