"""What the agent knows when it judges: by every sign what may still live here, and what a run holds itself."""

from __future__ import annotations

from typing import Any

import pytest

from hansa.grants import trust
from hansa.grants.epochs import Outcome
from hansa.grants.facts import Proposal
from hansa.member.facts import facts_again, facts_of, is_live
from hansa.member.state.run_index import Entry
from tests.unit.grants.grant_kit import UID, grant, job
from tests.unit.member.runs.plain_job import RUN, Running
from tests.unit.reconcile.member.inventory.node_objects import GPUS, gfd, node

CARD = "nvidia-rtx-4090"


def entry(epoch: int = 3, gpu_class: str = "") -> Entry:
    wire = grant(job(), epoch=epoch)
    found = trust.read(wire)
    assert isinstance(found, Proposal)
    return Entry(found.spec, wire, found.digest, gpu_class)


def namespace(**labels: Any) -> dict[str, Any]:
    marked = {f"hansa.dev/{name.replace('_', '-')}": value for name, value in labels.items()}
    metadata = {"name": "run", "uid": "u", "resourceVersion": "1", "labels": marked}
    return {"metadata": metadata if labels else metadata | {"labels": None}}


NAMESPACES = {
    "of an epoch before": (namespace(job_uid=UID, epoch="2"), (2,)),
    "of another job": (namespace(job_uid="other", epoch="2"), ()),
    "of no epoch": (namespace(job_uid=UID), ()),
    "of an epoch that is no number": (namespace(job_uid=UID, epoch="-2"), ()),
    "without labels": (namespace(), ()),
}


@pytest.mark.parametrize("case", NAMESPACES.values(), ids=NAMESPACES)
def test_a_namespace_is_a_sign_of_life(case):
    thing, live = case
    context = Running().parts.context
    context.namespaces.put(thing)
    assert facts_of(context, grant()).live_epochs == live


OUTCOMES = {Outcome.ACCEPTED: (2,), Outcome.ENDED: (), Outcome.REFUSED: ()}


@pytest.mark.parametrize(("outcome", "live"), OUTCOMES.items())
async def test_a_record_is_one_while_it_says_accepted(outcome, live):
    agent = Running()
    context, before = agent.parts.context, entry(epoch=2)
    await context.epochs.put((context.record(before.spec, before.digest, outcome),))
    assert facts_of(context, grant()).live_epochs == live


@pytest.mark.parametrize(("holding", "live"), [(True, (2,)), (False, ())])
def test_a_run_is_one_while_it_holds_something(*, holding: bool, live: tuple[int, ...]):
    context = Running().parts.context
    context.run_index.put(entry(epoch=2), holding=holding)
    assert facts_of(context, grant()).live_epochs == live


@pytest.mark.parametrize("spec", [{}, {"job": 7, "epoch": "3"}, {"job": {"uid": None}}])
def test_there_are_facts_for_whatever_a_hub_wrote(spec):
    assert facts_of(Running().parts.context, spec).live_epochs == ()


@pytest.mark.parametrize("others", [0, 1])
@pytest.mark.parametrize("gpu_class", ["", CARD])
def test_what_a_run_holds_itself_is_not_in_its_way(gpu_class, others):
    context = Running().parts.context
    context.cluster_state.put_machine(node(gfd("NVIDIA-GeForce-RTX-4090", "24564", 4), GPUS[4]))
    ours = entry(gpu_class=gpu_class)
    context.run_index.put(ours, holding=True)
    for epoch in range(4, 4 + others):
        context.run_index.put(entry(epoch=epoch, gpu_class=CARD), holding=True)

    new, again = facts_of(context, ours.wire), facts_again(context, ours)

    held = 2 * others
    assert (again.running_jobs, again.stock[CARD].held) == (others, held)
    assert new.running_jobs == others + 1
    assert new.stock[CARD].held == held + (2 if gpu_class else 0)


async def test_a_record_is_kept_while_its_run_or_its_namespace_is_here():
    context, ours = Running().parts.context, entry()
    record = context.record(ours.spec, ours.digest, Outcome.ENDED)
    assert not is_live(context, record)
    context.namespaces.put({"metadata": namespace(epoch="3")["metadata"] | {"name": RUN}})
    assert is_live(context, record)
