"""What a window is held against: the same, whether it is read at once or receipt by receipt, and not the whole chain."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from sqlalchemy import Engine, event

from hansa.ledger.receipts import recorded as module
from hansa.ledger.receipts.evidence import Dispute, Evidence, Taken
from hansa.receipts.chain import Known, RunSoFar, Sold
from hansa.receipts.envelope import Opened
from hansa.receipts.metering import Sight
from hansa.receipts.work_receipt import WorkReceipt, seconds
from tests.unit.grants.grant_kit import NODE
from tests.unit.receipts.receipt_kit import NOW_S, held, opened, receipts, run_of

UIDS = [f"0f8c2f4e-7c1c-4f7b-9d9a-5d2f1e8a7b6{n}" for n in range(4)]
FAULTS = ("", "", "", "BadAmount", "RunOver")


def chain_of(draw: np.random.Generator, length: int) -> list[WorkReceipt]:
    """Return one chain of several runs in turns, whose times and GPUs meet here and there."""
    runs, ends = [run_of(job_uid=uid) for uid in UIDS], dict.fromkeys(range(len(UIDS)), NOW_S)
    found: list[WorkReceipt] = []
    head = module.Head()
    while len(found) < length:
        at = int(draw.integers(len(UIDS)))
        start_s, ends[at] = ends[at], ends[at] + 300
        gpus = tuple(
            held(str(name), start_s + 10, ends[at] - 10)
            for name in draw.permutation(list("abc"))[:2]
        )
        over = {"over": True, "ended_s": ends[at], "end_reason": "Succeeded"}
        sight = Sight(ends[at], held=gpus, **(over if draw.random() < 0.05 else {}))
        new = receipts(runs[at], sight, head=head)
        for receipt in new:
            runs[at] = runs[at].after(receipt)
            one = opened(receipt)
            head = module.Head(receipt.sequence, one.digest, receipt.issued_s)
        found += new
    return found


class Book:
    """A chain in evidence, some of it disputed."""

    def __init__(self, engine: Engine, seed: int, length: int) -> None:
        draw = np.random.default_rng(seed)
        self.evidence = Evidence(engine)
        self.chain: list[tuple[Opened, str]] = []
        for receipt in chain_of(draw, length):
            self.chain.append((opened(receipt), str(draw.choice(FAULTS))))
        self.kept, self.window = self.chain[: length // 2], self.chain[length // 2 :]
        self.evidence.add([taken(one, fault) for one, fault in self.kept], 1)

    def known_for(self, receipt: WorkReceipt, most: int) -> Known:
        """Return what the receipt is held against, by looking at every receipt there is."""
        head = module.Head()
        of_run = [(one, fault) for one, fault in self.kept if one.receipt.run == receipt.run]
        sound = [one for one, fault in of_run if not fault]
        runs = {}
        if of_run:
            base, last = (sound[-1] if sound else of_run[0][0]).receipt, of_run[-1][0].receipt
            runs[receipt.run] = RunSoFar(
                base.work,
                max(one.receipt.part for one, _ in of_run),
                max(one.receipt.end_s for one, _ in of_run),
                base.last or last.last or any(fault == "RunOver" for _, fault in of_run),
            )
        meeting = [
            one.receipt
            for one, fault in self.kept
            if not fault
            and one.receipt.end_s >= receipt.start_s
            and one.receipt.start_s <= receipt.end_s
        ]
        crowded = bool(receipt.held) and len(meeting) > most
        return Known(head, runs, {} if crowded else sold_in(meeting, receipt), crowded=crowded)


def taken(one: Opened, fault: str) -> Taken:
    disputes = (Dispute(fault, "receipt", "as drawn"),) if fault else ()
    return Taken(one, one.envelope, disputes)


def sold_in(meeting: Sequence[WorkReceipt], receipt: WorkReceipt) -> dict[str, tuple[Sold, ...]]:
    def of(gpu: str) -> Iterator[Sold]:
        for other in meeting:
            for one in other.held:
                if one.gpu == gpu:
                    yield Sold(other.run, seconds(one.start), seconds(one.end))

    return {gpu.gpu: tuple(of(gpu.gpu)) for gpu in receipt.held}


def in_order(known: Known) -> Known:
    """Return the same with times sorted, and none of those that are many too many."""
    sold = (
        {}
        if known.crowded
        else {gpu: tuple(sorted(map(tuple_of, of))) for gpu, of in known.sold.items()}
    )
    return Known(known.head, known.runs, sold, crowded=known.crowded)


def tuple_of(sold: Sold) -> tuple[str, int, int]:
    return sold.run, sold.start_s, sold.end_s


@pytest.mark.parametrize("most", [0, 1, 2, 3, 5, 100])
@pytest.mark.parametrize("seed", range(4))
def test_a_window_that_is_read_at_once_says_what_each_receipt_would_find(
    engine: Engine, seed: int, most: int, monkeypatch
):
    monkeypatch.setattr(module, "MOST_MEETING", most)
    book = Book(engine, seed, 40)
    window = [one.receipt for one, _ in book.window]
    last = book.kept[-1][0]
    with book.evidence.recorded({NODE.key_id: window}) as found:
        before = found[NODE.key_id]
        assert (before.head.sequence, before.head.digest) == (last.receipt.sequence, last.digest)
        for receipt in window:
            told = in_order(before.known_for(receipt, module.Head()))
            assert told == in_order(book.known_for(receipt, most))


def test_what_was_taken_is_found_at_its_place(engine: Engine):
    book = Book(engine, 1, 20)
    shown = [one.receipt for one, _ in book.chain[5:15]]
    with book.evidence.recorded({NODE.key_id: shown}) as found:
        before = found[NODE.key_id]
        for one, _ in book.chain[5:15]:
            is_kept = one.receipt.sequence <= 10
            assert before.digest_at(NODE.key_id, one.receipt.sequence) == (
                one.digest if is_kept else ""
            )


def test_a_window_is_read_by_as_few_statements_as_one_receipt(engine: Engine):
    book = Book(engine, 2, 40)
    said: list[tuple[str, object]] = []
    event.listen(engine, "before_cursor_execute", lambda *call: said.append((call[2], call[3])))

    def statements(receipts: Sequence[WorkReceipt]) -> int:
        said.clear()
        with book.evidence.recorded({NODE.key_id: receipts}) as found:
            before = found[NODE.key_id]
            for receipt in receipts:
                before.known_for(receipt, module.Head())
        return len(said)

    window = [one.receipt for one, _ in book.window]
    assert statements(window) <= statements(window[:1]) + 1
    with engine.connect() as connection:
        plans = {
            text: str(connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values).all())
            for text, values in said
            if text.startswith("SELECT")
        }
    assert sum("ix_evidence_run_part (run=?)" in plan for plan in plans.values()) == 1
    # Through a whole chain goes only who wants its newest receipt.
    for text, plan in plans.items():
        assert "(node_key=?)" not in plan or "LIMIT" in text, text
