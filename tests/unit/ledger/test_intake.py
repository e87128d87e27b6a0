"""What comes in is posted or kept, whatever it is; nothing is let go before the books have it."""

from dataclasses import replace

import pytest
from sqlalchemy import Engine

from hansa.accounting.examination import Fault, Terms
from hansa.errors import Retryable, Terminal
from hansa.ledger.intake import Intake
from hansa.ledger.store.reader import LedgerReader
from hansa.ledger.store.writer import LedgerWriter
from tests.unit.accounting.usages import BEGAN_MS, TARIFF, digest, usage

NOW_MS = BEGAN_MS + 600_000
TERMS = Terms(NOW_MS, frozenset({"EUR"}), {"tartu": TARIFF})


class FixedClock:
    def now(self) -> float:
        return NOW_MS / 1000

    def monotonic(self) -> float:
        return 5.0


class Queue:
    """Receipts that wait until they are let go."""

    def __init__(self, *uses) -> None:
        self.waiting = list(uses)

    async def take(self):
        return tuple(self.waiting)

    async def done(self, digests) -> None:
        self.waiting = [use for use in self.waiting if use.receipt_digest not in digests]

    @property
    def behind(self) -> int:
        return len(self.waiting)


def intake(queue, engine, terms=TERMS):
    return Intake(queue, LedgerWriter(engine), clock=FixedClock(), terms=lambda _: terms)


async def test_what_is_right_is_posted_and_what_is_not_is_kept(engine: Engine) -> None:
    queue = Queue(usage(1), usage(2, unit_price=9), usage(3, node="\x00", currency="CHF"), usage(4))
    await intake(queue, engine).step()
    standing = LedgerReader(engine).standing()
    assert (standing.receipts, standing.differences, queue.behind) == (2, 2, 0)


async def test_a_receipt_comes_again_once_its_fault_is_mended(engine: Engine) -> None:
    early = Queue(usage(1, unit_price=9))
    await intake(early, engine).step()
    late = Queue(usage(1, unit_price=9))
    rates = tuple(replace(rate, per_hour=9) for rate in TARIFF.rates)
    mended = replace(TERMS, tariffs={"tartu": replace(TARIFF, rates=rates)})
    await intake(late, engine, mended).step()
    assert LedgerReader(engine).standing().differences == 0


async def test_a_digest_that_says_two_things_is_a_difference(engine: Engine) -> None:
    await intake(Queue(usage(1)), engine).step()
    queue = Queue(usage(1, gpu_ms=1))
    await intake(queue, engine).step()
    assert queue.behind == 0
    assert LedgerReader(engine).lines(usage().job_uid)[0].usage.gpu_ms == 600_000


async def test_nothing_comes_in_before_the_prices_are_known(engine: Engine) -> None:
    queue = Queue(usage(1))
    await intake(queue, engine, None).step()
    assert queue.behind == 1


async def test_what_the_database_cannot_take_holds_up_no_other(engine: Engine, monkeypatch) -> None:
    record = LedgerWriter.record

    def refusing(self, uses, recorded_ms):
        if any(use.receipt_digest == digest(2) for use in uses):
            raise Terminal("cannot be stored")
        return record(self, uses, recorded_ms)

    monkeypatch.setattr(LedgerWriter, "record", refusing)
    queue = Queue(usage(1), usage(2), usage(3))
    await intake(queue, engine).step()
    standing = LedgerReader(engine).standing()
    assert (standing.receipts, standing.differences, queue.behind) == (2, 1, 0)


async def test_a_database_that_is_away_lets_nothing_go(engine: Engine, monkeypatch) -> None:
    def away(*_):
        raise Retryable("the ledger's database: gone")

    monkeypatch.setattr(LedgerWriter, "record", away)
    queue = Queue(usage(1), usage(2, currency="CHF"))
    with pytest.raises(Retryable):
        await intake(queue, engine).step()
    assert queue.behind == 2


def test_the_faults_are_told_apart() -> None:
    assert len({fault.value for fault in Fault}) == len(Fault)


async def test_prices_and_time_are_those_after_the_receipts_came(engine: Engine) -> None:
    """A node joined, or changed its price, while receipts were taken; and the log took its time."""

    class Slow(Queue):
        async def take(self):
            clock.seconds = NOW_MS / 1000
            return await super().take()

    clock, queue = FixedClock(), Slow(usage(1))
    clock.seconds = (NOW_MS - 700_000) / 1000
    clock.now = lambda: clock.seconds
    waiting = Intake(
        queue,
        LedgerWriter(engine),
        clock=clock,
        terms=lambda now_ms: replace(TERMS, now_ms=now_ms),
    )
    await waiting.step()
    standing = LedgerReader(engine).standing()
    assert (standing.receipts, standing.differences, queue.behind) == (1, 0, 0)
