"""Every way in which a receipt does not follow those before it has its own name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from hansa.model.times import rfc3339
from hansa.receipts.chain import Known, Moment, follow, next_problem
from hansa.receipts.metering import MeteredRun
from hansa.receipts.problems import Problem
from hansa.receipts.work_receipt import Usage, WorkReceipt
from tests.unit.receipts.receipt_kit import (
    GRANT,
    HUB,
    NOW_S,
    PRICE,
    SKEW_S,
    START,
    Chain,
    changed,
    drawn_chain,
    head_after,
    held,
    history,
    later,
    opened,
    relinked,
    run_of,
    work,
)

FIRST, SECOND, LAST = history()
LATER = Moment(NOW_S + 700.0, SKEW_S)


def known(*receipts: WorkReceipt) -> Known:
    """Return what is known after receipts that are taken without a question."""
    found = START
    for receipt in receipts:
        assert next_problem(opened(receipt), found, GRANT, later(receipt)) is None
        found = follow(found, opened(receipt))
    return found


def other_run(*, begin_s: int, gpu: str = "b") -> WorkReceipt:
    """Return the first receipt of another run, next in the chain after FIRST."""
    other = MeteredRun(work=work(epoch=2), until=rfc3339(begin_s))
    end_s = begin_s + 300
    return changed(
        SECOND,
        work=other.work.model_dump(),
        part=1,
        start=rfc3339(begin_s),
        end=rfc3339(end_s),
        held=[held(gpu, begin_s + 20, begin_s + 280).model_dump()],
    )


def seen_once(epoch: int) -> WorkReceipt:
    """Return the first receipt of a run whose GPU one look has seen."""
    end = rfc3339(NOW_S + 300)
    once = [held("a", NOW_S + 7, NOW_S + 7).model_dump()]
    said = {"work": work(epoch=epoch).model_dump(), "end": end, "held": once}
    if epoch == 1:
        return changed(FIRST, **said)
    before = opened(seen_once(epoch - 1)).digest
    return changed(FIRST, **said, sequence=epoch, previous=before)


CASES: dict[str, tuple[Known, WorkReceipt, Problem | None]] = {
    "first": (START, FIRST, None),
    "second": (known(FIRST), SECOND, None),
    "a_gpu_seen_once_by_two_in_one_second": (
        known(seen_once(1)),
        seen_once(2),
        Problem.GPU_SOLD_TWICE,
    ),
    "last": (known(FIRST, SECOND), LAST, None),
    "another_run_in_between": (known(FIRST), other_run(begin_s=NOW_S + 5), None),
    "again": (known(FIRST), FIRST, Problem.REPLAY),
    "an_old_one": (known(FIRST, SECOND), FIRST, Problem.REPLAY),
    "one_left_out": (known(FIRST), LAST, Problem.SEQUENCE_GAP),
    "the_first_left_out": (START, SECOND, Problem.SEQUENCE_GAP),
    "two_versions": (
        known(FIRST, SECOND),
        changed(SECOND, usage=Usage(gpu_seconds=1, cpu_milliseconds=1).model_dump()),
        Problem.TWO_VERSIONS,
    ),
    "another_chain": (
        known(FIRST),
        changed(SECOND, previous="sha256:" + "0" * 64),
        Problem.BROKEN_CHAIN,
    ),
    "a_second_too_early": (
        known(FIRST),
        changed(SECOND, start=rfc3339(FIRST.end_s - 1)),
        Problem.OVERLAP,
    ),
    "a_part_again": (known(FIRST), changed(SECOND, part=1), Problem.OVERLAP),
    "a_second_left_out": (
        known(FIRST),
        changed(SECOND, start=rfc3339(FIRST.end_s + 1), held=[]),
        Problem.TIME_GAP,
    ),
    "a_part_left_out": (known(FIRST), changed(SECOND, part=3), Problem.TIME_GAP),
    "a_run_from_its_middle": (START, changed(FIRST, part=2), Problem.TIME_GAP),
    "after_its_last": (
        replace(known(FIRST, SECOND, LAST), head=known(FIRST, SECOND).head),
        LAST,
        Problem.RUN_OVER,
    ),
    "a_later_price": (
        known(FIRST),
        changed(SECOND, work=work(price=PRICE.model_copy(update={"gpu_hour": "2"})).model_dump()),
        Problem.LATER_PRICE,
    ),
    "another_institution": (
        known(FIRST),
        changed(SECOND, work=work(institution="bank").model_dump()),
        Problem.OTHER_WORK,
    ),
    "more_gpu_seconds_than_there_are": (
        START,
        changed(FIRST, usage=Usage(gpu_seconds=601, cpu_milliseconds=0).model_dump()),
        Problem.BAD_AMOUNT,
    ),
    "more_cpu_than_asked_for": (
        START,
        changed(FIRST, usage=Usage(gpu_seconds=0, cpu_milliseconds=900_001).model_dump()),
        Problem.BAD_AMOUNT,
    ),
    "more_energy_than_cards_draw": (
        START,
        changed(
            FIRST,
            usage=Usage(gpu_seconds=0, cpu_milliseconds=0, energy_joules=3_000_001).model_dump(),
        ),
        Problem.BAD_AMOUNT,
    ),
    "issued_tomorrow": (
        START,
        changed(FIRST, issued=rfc3339(LATER.now_s + SKEW_S + 1)),
        Problem.CLOCK_JUMP,
    ),
    "begun_before_its_grant": (
        START,
        changed(FIRST, start=rfc3339(NOW_S - SKEW_S - 1)),
        Problem.CLOCK_JUMP,
    ),
    "issued_before_the_one_before": (
        replace(known(FIRST), head=replace(known(FIRST).head, issued_s=SECOND.issued_s + 31)),
        SECOND,
        Problem.CLOCK_JUMP,
    ),
    "one_gpu_in_two_runs": (
        known(FIRST),
        other_run(begin_s=NOW_S + 5, gpu="a"),
        Problem.GPU_SOLD_TWICE,
    ),
    "one_gpu_after_the_other_run": (known(FIRST), other_run(begin_s=NOW_S + 270, gpu="a"), None),
    "one_gpu_twice_in_one": (
        START,
        changed(FIRST, held=[held("a", NOW_S, NOW_S + 9).model_dump()] * 2),
        Problem.GPU_SOLD_TWICE,
    ),
}


@pytest.mark.parametrize(("before", "receipt", "problem"), CASES.values(), ids=CASES.keys())
def test_what_does_not_follow_is_named(
    before: Known, receipt: WorkReceipt, problem: Problem | None
):
    found = next_problem(opened(receipt), before, GRANT, LATER)
    assert (None if found is None else found.problem) is problem, found


GRANTS = {
    "never": None,
    "of_another_spec": replace(GRANT, spec_digest="sha256:" + "b" * 64),
    "to_another_key": replace(GRANT, node_key=HUB.key_id),
}


@pytest.mark.parametrize("grant", GRANTS.values(), ids=GRANTS.keys())
def test_what_was_not_granted_is_not_paid(grant):
    found = next_problem(opened(FIRST), START, grant, LATER)
    assert found is not None
    assert found.problem is Problem.NEVER_GRANTED


def test_a_price_that_the_tariff_did_not_have_is_named():
    other = replace(GRANT, price=PRICE.model_copy(update={"currency": "SEK"}))
    found = next_problem(opened(FIRST), START, other, LATER)
    assert found is not None
    assert found.problem is Problem.LATER_PRICE


def test_a_disputed_receipt_holds_up_none_behind_it():
    bad = changed(FIRST, usage=Usage(gpu_seconds=601, cpu_milliseconds=0).model_dump())
    found = next_problem(opened(bad), START, GRANT, LATER)
    assert found is not None
    assert found.problem.keeps_place
    after = follow(START, opened(bad), taken=False)
    for behind in (other_run(begin_s=NOW_S + 5), SECOND):
        linked = changed(behind, previous=opened(bad).digest)
        assert next_problem(opened(linked), after, GRANT, LATER) is None
    # What it claimed is not sold to anybody else, nor is its GPU.
    assert after.sold == {}


def test_a_disputed_receipt_opens_no_run_again_and_takes_no_time_back():
    early = changed(
        LAST, part=1, start=rfc3339(NOW_S), end=rfc3339(NOW_S + 10), held=[], sequence=4
    )
    done = known(FIRST, SECOND, LAST)
    after = follow(done, opened(changed(early, previous=done.head.digest)), taken=False)
    assert after.runs == done.runs


def test_what_breaks_the_chain_keeps_no_place():
    breaking = {p for p in Problem if not p.keeps_place}
    assert breaking == {
        Problem.MALFORMED,
        Problem.UNKNOWN_KEY,
        Problem.BAD_SIGNATURE,
        Problem.OTHER_KEY,
        Problem.TWO_VERSIONS,
        Problem.REPLAY,
        Problem.SEQUENCE_GAP,
        Problem.BROKEN_CHAIN,
        # It waits at its member until there is room for it.
        Problem.TOO_MANY_DISPUTED,
    }


def _drop(chain: Chain, at: int) -> Chain:
    return chain[:at] + chain[at + 1 :]


def _drop_and_relink(chain: Chain, at: int) -> Chain:
    return relinked(_drop(chain, at), -1)


def _repeat(chain: Chain, at: int) -> Chain:
    return [*chain[: at + 1], chain[at], *chain[at + 1 :]]


def _swap(chain: Chain, at: int) -> Chain:
    return [*chain[:at], chain[at + 1], chain[at], *chain[at + 2 :]]


def _overlap(chain: Chain, at: int) -> Chain:
    return relinked(chain, at, start=rfc3339(chain[at].start_s - 1))


def _sell_twice(chain: Chain, at: int) -> Chain:
    """Sell the GPUs of the other run, whose receipt for the same time is the one before."""
    return relinked(chain, at, held=[gpu.model_dump() for gpu in chain[at - 1].held])


INJECTED: dict[str, tuple[Callable[[Chain, int], Chain], Problem]] = {
    "gap": (_drop, Problem.SEQUENCE_GAP),
    "gap that is signed over": (_drop_and_relink, Problem.TIME_GAP),
    "replay": (_repeat, Problem.REPLAY),
    "reordered": (_swap, Problem.SEQUENCE_GAP),
    "overlap": (_overlap, Problem.OVERLAP),
    "double sale": (_sell_twice, Problem.GPU_SOLD_TWICE),
}


def first_problem(chain: Chain, gpus: int | None = None) -> Problem | None:
    """Return the first thing that speaks against a chain, both of whose runs were granted."""
    found = replace(START, gpus=gpus)
    for receipt in chain:
        problem = next_problem(opened(receipt), found, GRANT, later(receipt))
        if problem is not None:
            return problem.problem
        found = follow(found, opened(receipt))
    return None


def places(chain: Chain) -> list[int]:
    """Return the places of receipts, none a run's first or last, behind another run's for the same time."""
    return [
        at
        for at, one in enumerate(chain[:-1])
        if one.part > 1 and not one.last and chain[at - 1].end == one.end
    ]


@pytest.mark.parametrize(("fault", "problem"), INJECTED.values(), ids=INJECTED.keys())
def test_every_injected_fault_is_flagged(fault, problem):
    draw, count = np.random.default_rng(7), 0
    while count < 40:
        chain = drawn_chain(draw)
        assert first_problem(chain, gpus=4) is None
        for at in draw.permutation(places(chain))[:2].tolist():
            assert first_problem(fault(chain, at)) is problem
            count += 1


def test_more_gpus_at_once_than_a_node_has_are_named_also_where_nobody_says_which():
    """Receipts that name no GPU are held against how many their node has said that there are."""
    draw = np.random.default_rng(8)
    for _ in range(20):
        nameless = [changed(one, held=[]) for one in drawn_chain(draw)]
        nameless = relinked(nameless, -1)
        assert first_problem(nameless) is None
        assert first_problem(nameless, gpus=4) is None
        assert first_problem(nameless, gpus=3) is Problem.GPU_SOLD_TWICE
        assert first_problem(nameless, gpus=1) is Problem.GPU_SOLD_TWICE


def test_gpus_of_a_run_that_has_ended_are_another_runs_while_it_is_cleared_away():
    ended = changed(FIRST, held=[], usage=Usage(gpu_seconds=200, cpu_milliseconds=0).model_dump())
    after = replace(known(ended), gpus=2)
    for begin_s, problem in ((NOW_S + 100, None), (NOW_S + 99, Problem.GPU_SOLD_TWICE)):
        receipt = changed(other_run(begin_s=begin_s), held=[], previous=head_after(ended).digest)
        found = next_problem(opened(receipt), after, GRANT, LATER)
        assert (None if found is None else found.problem) is problem


def test_run_of_is_open_until_its_last():
    assert known(FIRST, SECOND).runs[run_of().run].over is False
    assert known(FIRST, SECOND, LAST).runs[run_of().run].over
