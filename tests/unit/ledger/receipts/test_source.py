"""From what a node shows to the books: taken once, countersigned or disputed, acknowledged, logged."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
from sqlalchemy import Engine

from hansa.api.kinds import SOVEREIGNNODE, WORKGRANT
from hansa.api.workgrant import WorkGrantSpec
from hansa.ledger.receipts import hub_view
from hansa.model.times import rfc3339
from hansa.receipts.metering import MeteredRun, Sight
from hansa.receipts.work_receipt import HeldGpu
from hansa.reconcile.member.usage.work_terms import work_of
from tests.unit.grants.grant_kit import HUB, NOW_S, UID, grant, job
from tests.unit.ledger.receipts.ledger_kit import (
    GRANT_PATH,
    TARTU,
    TERMS,
    Ledger,
    charged,
    granted,
    heard,
    receipts,
    shown,
    tartu,
)
from tests.unit.receipts.receipt_kit import OTHER, changed, head_after, held
from tests.unit.receipts.receipt_kit import receipts as drawn


async def test_a_run_is_paid_for_to_the_second_and_once(ledger: Ledger):
    outbox = shown()
    for _ in range(3):
        await ledger.step(outbox)

    # Two GPUs at 3.60 an hour for 300, 300 and 50 seconds.
    assert sorted(ledger.amounts) == [100_000, 600_000, 600_000]
    assert ledger.disputes == set()
    usage = ledger.reader.lines(UID)[0].usage
    assert (usage.provider, usage.institution) == ("clinic", grant(job())["institution"])
    assert all(len(envelope.signatures) == 2 for _, envelope, _ in ledger.evidence.of_job(UID))


async def test_the_member_believes_how_far_it_was_taken(ledger: Ledger):
    outbox = shown()
    await ledger.step(outbox[:2])
    assert (ledger.taken.sequence, ledger.taken.signature.keyid) == (2, HUB.key_id)
    await ledger.step(outbox[2:])
    assert ledger.taken.sequence == 3


async def test_every_receipt_is_in_the_log_with_a_proof(ledger: Ledger):
    await ledger.step(shown())
    digests = [digest for digest, *_ in ledger.evidence.of_job(UID)]
    assert [ledger.logbook.prove(digest).index for digest in digests] == [0, 1, 2]


async def test_a_ledger_that_was_killed_goes_on_where_it_was(engine: Engine, tmp_path: Path):
    """Evidence is kept first: what the books and the log have not seen they get from there."""
    first = Ledger(engine, tmp_path)
    await first.show(shown())
    await first.source.take()
    assert first.amounts == []

    second = Ledger(engine, tmp_path)
    await second.step([])
    assert sorted(second.amounts) == [100_000, 600_000, 600_000]


async def test_a_grant_that_is_gone_by_now_was_seen(ledger: Ledger):
    await ledger.step([])
    await ledger.hub.delete(GRANT_PATH)
    await ledger.step(shown())
    assert len(ledger.amounts) == 3


async def test_a_grant_that_lived_between_two_looks_was_seen(ledger: Ledger):
    await ledger.hub.delete(GRANT_PATH)
    await ledger.step([])
    ledger.hub.put(GRANT_PATH, granted())
    await heard(ledger.view)
    await ledger.hub.delete(GRANT_PATH)
    await ledger.step(shown())
    assert len(ledger.amounts) == 3


async def test_a_grant_that_the_watch_has_not_told_yet_is_asked_for(ledger: Ledger):
    """Two watches are not in step: what a node shows may be heard before what it was granted."""
    await ledger.hub.delete(GRANT_PATH)
    await ledger.step([])
    ledger.hub._watches.clear()
    ledger.hub.put(GRANT_PATH, granted())
    ledger.view._nodes.put(ledger.hub.put(TARTU, tartu(shown())))
    await ledger.intake.step()
    assert len(ledger.amounts) == 3
    assert ledger.disputes == set()


async def test_a_grant_is_read_once_and_the_hub_is_not_listed_again(ledger: Ledger, monkeypatch):
    read, listed = [], []
    parse, list_ = hub_view.read_grant, ledger.hub.list
    monkeypatch.setattr(hub_view, "read_grant", lambda thing: read.append(thing) or parse(thing))
    monkeypatch.setattr(ledger.hub, "list", lambda path, **_: listed.append(path) or list_(path))
    for accepted in range(4):
        ledger.hub.put(GRANT_PATH, granted() | {"status": {"receipts": accepted}})
        await ledger.step(shown())
    assert (len(read), len(listed)) == (1, 2)


async def test_receipts_of_a_node_that_left_are_booked_and_hold_up_no_others(ledger: Ledger):
    await ledger.show(shown())
    await ledger.source.take()
    await ledger.hub.delete(TARTU)
    await heard(ledger.view)
    await ledger.intake.step()
    assert sorted(ledger.amounts) == [100_000, 600_000, 600_000]
    assert ledger.evidence.unbooked() == []


async def test_a_job_that_names_no_project_is_booked_to_the_one_that_was_granted(ledger: Ledger):
    ledger.hub.put(GRANT_PATH, charged())
    await ledger.step(shown(receipts(project="screening")))
    assert {line.usage.project for line in ledger.reader.lines(UID)} == {"hospital/screening"}
    assert ledger.disputes == set()


LIES = {
    "another institution": ({"institution": "lab"}, ("Differs", "institution")),
    "more GPUs than were granted": ({"gpus": 8}, ("Differs", "gpus")),
    "another country": ({"jurisdiction": "LV"}, ("Differs", "jurisdiction")),
    "other data": ({"data_sets": ()}, ("Differs", "dataSets")),
    "another hub's work": ({"league": OTHER.key_id}, ("Differs", "league")),
    "another purpose": ({"purpose": "anything"}, ("Differs", "purpose")),
    "another spec": ({"spec_digest": "sha256:" + "b" * 64}, ("NeverGranted", "receipt")),
    "a run that was never granted": ({"epoch": 2}, ("NeverGranted", "receipt")),
}


@pytest.mark.parametrize(("lie", "dispute"), LIES.values(), ids=LIES)
async def test_what_differs_is_kept_in_both_versions_and_not_paid(ledger: Ledger, lie, dispute):
    await ledger.step(shown(receipts(**lie)))
    assert ledger.amounts == []
    assert dispute in ledger.disputes
    kept = list(ledger.evidence.of_job(UID))
    assert all(len(envelope.signatures) == 1 for _, envelope, _ in kept)
    # It holds up nothing: the member may let go of it, and what follows is taken.
    assert ledger.taken.sequence == 3


async def test_a_price_that_was_not_valid_is_a_difference_of_the_books(ledger: Ledger):
    dear = receipts()[0].work.price.model_copy(update={"gpu_hour": "99"})
    await ledger.step(shown(receipts(price=dear)))
    assert ledger.amounts == []
    assert ("WrongPrice", "unitPrice") in ledger.disputes


def _gap(found):
    return [found[0], found[2]]


def _second_version(found):
    other = changed(found[1], usage=found[1].usage.model_dump() | {"gpu_seconds": 1})
    return [found[0], other, found[2]]


def _double_sale(found):
    held = HeldGpu(gpu="a" * 16, start=found[1].start, end=found[1].end)
    twice = (held, held)
    return [found[0], changed(found[1], held=twice)]


WHOLE = {
    "a gap": (_gap, 1),
    "a receipt changed afterwards": (_second_version, 2),
    "a GPU twice in one receipt": (_double_sale, 1),
}


@pytest.mark.parametrize(("spoil", "paid"), WHOLE.values(), ids=WHOLE)
async def test_a_chain_is_taken_up_to_where_it_breaks(ledger: Ledger, spoil, paid):
    await ledger.step(shown(spoil(receipts())))
    assert len(ledger.amounts) == paid


@pytest.mark.parametrize("before", [0, 2], ids=["in one window", "in two"])
async def test_a_gpu_that_two_runs_are_charged_for_is_paid_once(ledger: Ledger, before: int):
    path = WORKGRANT.path("hansa-node-tartu", "aij-0-e4")
    spec = grant(job(), epoch=4)
    ledger.hub.put(path, {"metadata": {"name": "aij-0-e4"}, "spec": spec})
    first = receipts()[:2]
    work = work_of(WorkGrantSpec.model_validate(spec), TERMS)
    sight = Sight(NOW_S + 300, held=(held("a", NOW_S + 200, NOW_S + 280),))
    run = MeteredRun(work=work, until=rfc3339(NOW_S))
    (drawn_at_once,) = drawn(run, sight, head=head_after(first[-1]))
    second = changed(drawn_at_once, issued=rfc3339(NOW_S + 610))
    await ledger.step(shown(first[:before]) if before else [])
    await ledger.step(shown([*first, second]))
    assert len(ledger.amounts) == 2
    assert ledger.disputes == {("GpuSoldTwice", "receipt")}


STRANGE = {
    "no list": 7,
    "numbers": [1, 2],
    "another's key": shown(signer=OTHER),
    "cut": [{**shown()[0], "payload": "AAAA"}],
}


@pytest.mark.parametrize("outbox", STRANGE.values(), ids=STRANGE)
async def test_what_a_member_writes_ends_nothing(ledger: Ledger, outbox):
    await ledger.step(copy.deepcopy(outbox))
    assert ledger.amounts == []
    ledger.hub.put(SOVEREIGNNODE.path(name="narva"), {"metadata": {"name": "narva"}, "spec": {}})
    await ledger.step(shown())
    assert len(ledger.amounts) == 3


def test_the_moment_of_a_grant_is_the_hub_s():
    assert granted()["spec"]["notBefore"] == rfc3339(NOW_S - 60)
