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
    changed,
    held,
    history,
    later,
    opened,
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
    }


def _drop(chain: list[WorkReceipt], at: int) -> list[WorkReceipt]:
    return chain[:at] + chain[at + 1 :]


def _repeat(chain: list[WorkReceipt], at: int) -> list[WorkReceipt]:
    return [*chain[: at + 1], chain[at], *chain[at + 1 :]]


def _swap(chain: list[WorkReceipt], at: int) -> list[WorkReceipt]:
    return [*chain[: at - 1], chain[at], chain[at - 1], *chain[at + 1 :]]


def _overlap(chain: list[WorkReceipt], at: int) -> list[WorkReceipt]:
    early = chain[at].start_s - 1
    return [*chain[:at], changed(chain[at], start=rfc3339(early)), *chain[at + 1 :]]


INJECTED: dict[str, Callable[[list[WorkReceipt], int], list[WorkReceipt]]] = {
    "gap": _drop,
    "replay": _repeat,
    "reordered": _swap,
    "overlap": _overlap,
}


@pytest.mark.parametrize("fault", INJECTED.values(), ids=INJECTED.keys())
def test_every_injected_fault_is_flagged(fault):
    draw = np.random.default_rng(7)
    for _ in range(25):
        chain = fault(
            history(), int(draw.integers(1, 3)) if fault is not _drop else int(draw.integers(2))
        )
        found, problems = START, []
        for receipt in chain:
            problem = next_problem(opened(receipt), found, GRANT, LATER)
            if problem is None:
                found = follow(found, opened(receipt))
            else:
                problems.append(problem)
        assert problems


def test_run_of_is_open_until_its_last():
    assert known(FIRST, SECOND).runs[run_of().run].over is False
    assert known(FIRST, SECOND, LAST).runs[run_of().run].over
