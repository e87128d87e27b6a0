"""What the books must keep in any database: played against SQLite and against PostgreSQL.

A history is a list of steps. Each is played on the real books and on a plain model in memory; a crash
at any statement rolls the step back, and it is played again. After each step both must agree.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, event

from hansa.accounting.books import books_of, disorders
from hansa.accounting.postings import KITTY, Claim, Event, Posting, postings
from hansa.accounting.usage import Usage
from hansa.errors import Terminal
from hansa.ledger.store.reader import LedgerReader
from hansa.ledger.store.writer import LedgerWriter
from tests.unit.accounting.usages import digest, usage

HOLDBACK_BP = 1000
ENDS_OF_PLEDGES = (Event.SEIZE_PLEDGE, Event.RETURN_PLEDGE)
NAMES = st.sampled_from(["clinic", "ut", "lab"])
NUMBERS = st.integers(0, 7)
USES = st.builds(
    lambda number, payer, provider, gpu_ms: usage(
        number, institution=payer, provider=provider, gpu_ms=gpu_ms
    ),
    NUMBERS,
    NAMES,
    NAMES,
    st.sampled_from([0, 1, 299_999, 600_000]),
)
MOVES = st.sampled_from([Event.POST, Event.VOID, Event.RELEASE, Event.SEIZE])
STEPS = st.one_of(
    st.tuples(st.just("record"), st.lists(USES, max_size=4)),
    st.tuples(MOVES, st.lists(NUMBERS, max_size=3)),
    st.tuples(st.just("correct"), st.tuples(NUMBERS, st.sampled_from([-400_000, -7, 5]))),
    st.tuples(st.just("pledge"), st.tuples(NUMBERS, NAMES)),
    st.tuples(st.sampled_from(ENDS_OF_PLEDGES), st.lists(NUMBERS, max_size=3)),
)
HISTORIES = st.lists(st.tuples(STEPS, st.integers(0, 4)), max_size=14)
"""Steps, and at which statement each crashes first; 0: it does not."""


class Crash(Exception):
    """The process died here."""


@dataclass
class Model:
    """The books as plain dictionaries: slow, and easy to believe."""

    uses: dict[str, Usage] = field(default_factory=dict)
    state: dict[str, Event] = field(default_factory=dict)
    corrected: dict[str, dict[int, int]] = field(default_factory=dict)
    pledges: dict[str, tuple[Claim, Event]] = field(default_factory=dict)
    rows: list[Posting] = field(default_factory=list)

    def claim(self, name: str) -> Claim:
        """The claim of a receipt."""
        use = self.uses[name]
        held = round(use.amount * HOLDBACK_BP / 10_000)
        return Claim(name, use.institution, use.provider, use.amount, use.currency, held)


def model_step(model: Model, step: tuple[Any, Any]) -> None:
    """Play a step on the model."""
    kind, what = step
    if kind == "record":
        _model_record(model, what)
    elif kind == "pledge":
        claim = pledge(*what)
        if claim.subject not in model.pledges:
            model.pledges[claim.subject] = (claim, Event.PLEDGE)
            model.rows += postings(Event.PLEDGE, claim)
    elif kind == "correct":
        _model_correction(model, *what)
    elif kind in ENDS_OF_PLEDGES:
        _model_end(model, kind, {digest(f"b{number}") for number in what})
    else:
        before = Event.POST if kind in {Event.RELEASE, Event.SEIZE} else Event.CHARGE
        for name in {digest(number) for number in what}:
            if model.state.get(name) is before:
                model.state[name] = kind
                model.rows += postings(kind, model.claim(name))


def _model_record(model: Model, uses: list[Usage]) -> None:
    for name, use in {use.receipt_digest: use for use in uses}.items():
        if name not in model.uses:
            model.uses[name] = use
            model.state[name] = Event.CHARGE
            model.rows += postings(Event.CHARGE, model.claim(name))


def _model_end(model: Model, kind: Event, names: set[str]) -> None:
    for name in names & model.pledges.keys():
        claim, state = model.pledges[name]
        if state is Event.PLEDGE:
            model.pledges[name] = (claim, kind)
            model.rows += postings(kind, claim)


def _model_correction(model: Model, number: int, micros: int) -> None:
    name = digest(number)
    if model.state.get(name) not in {Event.POST, Event.RELEASE, Event.SEIZE}:
        return
    done = model.corrected.setdefault(name, {})
    if micros in done or model.uses[name].amount + sum(done.values()) + micros < 0:
        return
    done[micros] = micros
    claim = model.claim(name)
    changed = Claim(f"{name}{micros}", claim.debtor, claim.creditor, abs(micros), claim.currency)
    model.rows += postings(Event.CORRECT_UP if micros > 0 else Event.CORRECT_DOWN, changed)


def pledge(number: int, name: str) -> Claim:
    """A member's bond."""
    return Claim(digest(f"b{number}"), name, KITTY, 1000 + number, "EUR")


def real_step(writer: LedgerWriter, step: tuple[Any, Any], now_ms: int) -> None:
    """Play a step on the books."""
    kind, what = step
    if kind == "record":
        writer.record(what, now_ms)
    elif kind == "pledge":
        writer.begin(Event.PLEDGE, [pledge(*what)], now_ms)
    elif kind == "correct":
        number, micros = what
        try:
            writer.correct(digest(number), micros, now_ms, note="measured anew")
        except Terminal as error:
            assert error.reason == "CannotCorrect"  # noqa: PT017  # both outcomes are lawful
    else:
        prefix = "b" if kind in ENDS_OF_PLEDGES else ""
        writer.happen(kind, [digest(f"{prefix}{number}") for number in what], now_ms)


@contextmanager
def crash_at(engine: Engine, statement: int) -> Iterator[None]:
    """Die at the n-th statement; one past the last dies before the commit."""
    left = [statement]

    def count(*_: object) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise Crash

    def commit(_: Connection) -> None:
        if left[0] > 0:
            raise Crash

    event.listen(engine, "before_cursor_execute", count)
    event.listen(engine, "commit", commit)
    try:
        yield
    finally:
        event.remove(engine, "before_cursor_execute", count)
        event.remove(engine, "commit", commit)


def play(engine: Engine, history: list[tuple[tuple[Any, Any], int]]) -> None:
    """Play a history with its crashes; after each step the books are the model's, and in order."""
    writer, reader = LedgerWriter(engine, holdback_bp=HOLDBACK_BP), LedgerReader(engine)
    model = Model()
    for at, (step, crash) in enumerate(history):
        if crash:
            before = reader.books()
            try:
                with crash_at(engine, crash):
                    real_step(writer, step, at)
            except Crash:
                assert reader.books() == before
        real_step(writer, step, at)
        model_step(model, step)
        books = reader.books()
        assert not disorders(books)
        assert _moved(books.balances) == _moved(books_of(model.rows).balances)
        real_step(writer, step, at)
        assert reader.books() == books
    _check_reader(reader, model)


def _moved(balances: Mapping[Any, int]) -> dict[Any, int]:
    return {key: micros for key, micros in balances.items() if micros}


def _check_reader(reader: LedgerReader, model: Model) -> None:
    standing = reader.standing()
    assert standing.receipts == len(model.uses)
    lines = {line.usage.receipt_digest: line for line in reader.lines(usage().job_uid)}
    assert {name: line.event for name, line in lines.items()} == model.state
    assert {name: line.usage for name, line in lines.items()} == model.uses
    spent = sum(
        use.amount + sum(model.corrected.get(name, {}).values())
        for name, use in model.uses.items()
        if model.state[name] is not Event.VOID
    )
    assert sum(reader.spent().values()) == spent
