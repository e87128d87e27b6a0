"""What an institution checks before it signs a clearing: that its own side of the books follows from receipts.

A clearing follows from postings, and postings are the ledger's word. So each institution holds those that it is a
party to against receipts that the node signed, the hub countersigned and the log has. Where all sign, each debt between
two of them was checked by both, and nobody had to see what others work on.

What no receipt tells (corrections, what an audit voided or seized, pledges) is agreed between people: it is named
until who signs names it too. What earlier clearings brought about has to stand in those, which were signed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from hansa.accounting import amounts
from hansa.accounting.books import books_of
from hansa.accounting.postings import (
    KITTY,
    REQUIRES,
    Claim,
    Event,
    Posting,
    owner_in_words,
    phase_of,
    postings,
)
from hansa.accounting.settlement.clearing import Clearing
from hansa.accounting.usage import amount_of, price_of
from hansa.receipts.work_receipt import WorkReceipt

_OF_RECEIPTS = frozenset({Event.CHARGE, Event.POST, Event.VOID, Event.RELEASE, Event.SEIZE})
_OF_CLEARINGS = frozenset({Event.SET_OFF, Event.PAY, Event.PAY_KITTY, Event.PAY_SEIZED_PLEDGE})
_LOSSES = frozenset({Event.VOID, Event.SEIZE})
"""What takes from a creditor what a receipt has earned it: an audit found it so, and no receipt tells."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A receipt whose signatures and place in the log were checked."""

    digest: str
    receipt: WorkReceipt
    countersigned: bool
    disputed: bool
    """Whether the ledger names something that speaks against it."""


@dataclass(frozen=True, slots=True)
class OwnSide:
    """Who signs, and what it goes by."""

    institution: str
    currency: str
    until_ms: int
    signers: frozenset[str]
    operators: Mapping[str, str]
    """Node's key id → institution that operates it, as all have agreed."""
    settled: tuple[Clearing, ...] = ()
    """Earlier clearings that it signed, the oldest first: what was recorded before the last of them is agreed."""
    agreed: frozenset[str] = field(default_factory=frozenset)
    """Subjects of entries that follow from no receipt, and that it knows of."""

    @property
    def since_ms(self) -> int:
        """From when on entries are checked one by one."""
        return self.settled[-1].period.until_ms if self.settled else 0

    def concerns(self, row: Posting) -> bool:
        """Tell whether a posting counts in this clearing, for or against who signs."""
        is_in_time = row.currency == self.currency and row.recorded_ms < self.until_ms
        is_ours = self.institution in {row.debtor, row.creditor} and row.debtor != row.creditor
        return is_in_time and is_ours and row.debtor in self.signers

    def is_cleared(self, moved: Sequence[Posting]) -> bool:
        """Tell whether a claim counts: of what is owed to those who do not sign, what was seized is the kitty's."""
        is_seized = any(row.event is Event.SEIZE for row in moved)
        return moved[0].creditor in {*self.signers, KITTY} or is_seized


def objections(own: OwnSide, rows: Iterable[Posting], shown: Sequence[Shown]) -> Iterator[str]:
    """Yield in what the postings depart from the receipts, the earlier clearings and what was agreed; a sentence each."""
    mine: list[Posting] = []
    booked: set[str] = set()
    for row in rows:
        if own.concerns(row):
            mine.append(row)
        if row.recorded_ms < own.since_ms:
            booked.add(row.subject)
    yield from _base(own, mine)
    claims: defaultdict[str, list[Posting]] = defaultdict(list)
    for row in mine:
        claims[row.subject].append(row)
    receipts = {one.digest: one for one in shown}
    for subject, moved in sorted(claims.items()):
        if own.is_cleared(moved) and any(row.recorded_ms >= own.since_ms for row in moved):
            yield from _claim(own, subject, moved, receipts.get(subject))
    yield from _missing(own, claims, shown)
    for key in sorted(key for key, name in own.operators.items() if name == own.institution):
        chain = [one for one in shown if one.receipt.work.node_key == key]
        yield from _chain(booked, sorted(chain, key=lambda one: one.receipt.sequence))


def _base(own: OwnSide, mine: Sequence[Posting]) -> Iterator[str]:
    """Hold what was recorded before the last clearing against what that said was owed."""
    if not own.settled:
        return
    last = own.settled[-1]
    found = books_of(row for row in mine if row.recorded_ms < own.since_ms)
    owed = found.obligations(own.currency)
    for pair in sorted({*owed, *last.obligations}):
        here, there = owed.get(pair, 0), last.obligations.get(pair, 0)
        is_cleared = {*pair} <= {*own.signers & last.signers.keys(), KITTY}
        if own.institution in pair and is_cleared and here != there:
            yield (
                f"before {last.period.name} was cleared {pair[0]} owed {owner_in_words(pair[1])}"
                f" {amounts.text(there)}, by these postings {amounts.text(here)}"
            )


def _claim(
    own: OwnSide, subject: str, moved: Sequence[Posting], shown: Shown | None
) -> Iterator[str]:
    events = {row.event for row in moved}
    if events & _OF_RECEIPTS:
        yield from _charged(own, subject, moved, shown)
    elif events & _OF_CLEARINGS:
        yield from _cleared(own, subject, moved)
    elif subject not in own.agreed:
        yield _unknown(moved[-1])


def _charged(
    own: OwnSide, subject: str, moved: Sequence[Posting], shown: Shown | None
) -> Iterator[str]:
    """Hold what happened to a receipt's amount against the receipt."""
    first = moved[0]
    if shown is None or not shown.countersigned:
        why = "no receipt" if shown is None else "a receipt that the hub did not countersign"
        yield f"{_named(first)} follows from {why}"
        return
    work = shown.receipt.work
    operator = own.operators.get(work.node_key)
    if operator is None and first.creditor in own.signers:
        operator = f"who operates {work.node}, a node that is not in the terms"
    for what, said, found in (
        ("debtor", first.debtor, work.institution),
        ("creditor", first.creditor, operator or first.creditor),
        ("currency", first.currency, price_of(shown.receipt)[1]),
    ):
        if said != found:
            yield f"{_named(first)}: the {what} is {said}, by its receipt {found}"
            return
    amount = amount_of(shown.receipt)
    held = sum(row.amount for row in moved if row.event is Event.POST and row.leg == 1)
    claim = Claim(subject, first.debtor, first.creditor, amount, first.currency, min(held, amount))
    if _moves(moved) != _moves(_expected(claim, moved)):
        yield f"{_named(first)}: its receipt comes to {amounts.text(amount)}, and is not posted so"
    for row in moved:
        is_mine = row.event in _LOSSES and row.creditor == own.institution
        if is_mine and row.leg == 0 and subject not in own.agreed:
            yield _unknown(row)


def _expected(claim: Claim, moved: Iterable[Posting]) -> Iterator[Posting]:
    """Yield what the events of a claim write, where each may follow those before it."""
    events = {row.event for row in moved}
    phases = [phase_of(event) for event in events]
    if len(phases) == len(set(phases)) and all(
        REQUIRES[event] in events for event in events if event in REQUIRES
    ):
        for event in events:
            yield from postings(event, claim)


def _moves(rows: Iterable[Posting]) -> list[tuple[object, ...]]:
    return sorted(
        (row.event.value, row.leg, row.debtor, row.creditor, row.debit, row.credit, row.amount)
        for row in rows
    )


def _cleared(own: OwnSide, subject: str, moved: Sequence[Posting]) -> Iterator[str]:
    """Hold a set-off or a payment against the clearing that it is of."""
    digest, _, rest = subject.partition("/")
    clearing = next((one for one in own.settled if one.digest == digest), None)
    row = moved[0]
    if clearing is None:
        yield f"{_named(row)} is of a clearing that is not among those that you signed: {digest}"
        return
    pair = tuple(rest.removeprefix("paid/").split("/")[:2])
    part = clearing.paid if rest.startswith("paid/") else clearing.set_off
    said = {one: micros for one, micros in part.items() if one == pair}
    most = sum(said.values())
    is_whole = row.event in {Event.SET_OFF, Event.PAY}
    same = pair == (row.debtor, row.creditor) if is_whole else pair == (row.debtor, KITTY)
    claim = Claim(subject, row.debtor, row.creditor, row.amount, row.currency)
    fits = row.amount == most if is_whole else row.amount <= most
    if not (same and fits and _moves(moved) == _moves(postings(row.event, claim))):
        yield f"{_named(row)}: the clearing of {clearing.period.name} says {amounts.text(most)}"


def _missing(own: OwnSide, claims: Mapping[str, object], shown: Iterable[Shown]) -> Iterator[str]:
    """Yield receipts that something is owed for and that nobody is charged for."""
    for one in shown:
        work, amount = one.receipt.work, amount_of(one.receipt)
        creditor = own.operators.get(work.node_key)
        parties = {work.institution, creditor}
        is_ours = len(parties) > 1 and own.institution in parties and parties <= own.signers
        of_them = price_of(one.receipt)[1] == own.currency and not one.disputed
        if is_ours and of_them and amount and one.digest not in claims:
            yield (
                f"receipt {one.receipt.sequence} of {work.node}, {amounts.text(amount)} {own.currency} from"
                f" {work.institution} to {creditor}, stands in no posting: {one.digest}"
            )


def _chain(booked: Container[str], chain: Sequence[Shown]) -> Iterator[str]:
    """Hold the chain of an own node against gaps, from the last receipt that was booked before."""
    known = [at for at, one in enumerate(chain) if one.digest in booked]
    tail = chain[known[-1] :] if known else chain
    if tail and not known and tail[0].receipt.sequence > 1:
        yield _gap(tail[0], 1)
    for before, one in pairwise(tail):
        if one.receipt.sequence != before.receipt.sequence + 1:
            yield _gap(one, before.receipt.sequence + 1)


def _gap(one: Shown, first: int) -> str:
    last = one.receipt.sequence - 1
    which = f"receipt {first}" if first == last else f"receipts {first} to {last}"
    return f"{which} of {one.receipt.work.node}, which is yours, are not shown"


def _unknown(row: Posting) -> str:
    return f"{_named(row)} follows from no receipt; if you know of it, name it with --agreed"


def _named(row: Posting) -> str:
    return (
        f"{row.event.value} of {amounts.text(row.amount)} {row.currency}, {row.debtor} to"
        f" {owner_in_words(row.creditor)} ({row.subject})"
    )
