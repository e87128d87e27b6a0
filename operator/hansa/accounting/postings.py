"""Double entry: which accounts an event moves. One table says it; the store and the tests read it.

An account belongs to one institution and keeps its sign: a debit adds, a credit takes away. Between a
debtor and a creditor everything adds up to nothing at any time. What is seized goes to the kitty: it
is never owed to who accused, and never given back to who was to pay.

==========  =======================================================================
pending     metered and not yet due: the creditor's above zero, the debtor's below
receivable  due to the creditor
payable     what the debtor owes, below zero
holdback    earned, and kept back until no audit can touch it any more
bond        pledged by a member against its own misconduct
kitty       seized from this institution; the league's
==========  =======================================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

KITTY = "@kitty"
"""The creditor of what is seized; no institution can be called so."""
KITTY_IN_WORDS = "the league's kitty"
"""As people read it; no institution can be called so either."""


def owner_in_words(owner: str) -> str:
    """Return what people call the owner of an account: an institution by its name, and the kitty."""
    return KITTY_IN_WORDS if owner == KITTY else owner


def owner_of(words: str) -> str:
    """Return whom people mean by a name."""
    return KITTY if words == KITTY_IN_WORDS else words


class AccountKind(StrEnum):
    """The accounts of an institution."""

    RECEIVABLE = "receivable"
    PAYABLE = "payable"
    PENDING = "pending"
    HOLDBACK = "holdback"
    BOND = "bond"
    KITTY = "kitty"


class Side(StrEnum):
    """Whose account."""

    DEBTOR = "debtor"
    CREDITOR = "creditor"


class Portion(StrEnum):
    """How much of the claim."""

    WHOLE = "whole"
    DUE = "due"
    HELD = "held"


class Event(StrEnum):
    """What can happen to a claim. The strings are API: rows of the books."""

    CHARGE = "Charge"
    POST = "Post"
    VOID = "Void"
    RELEASE = "Release"
    SEIZE = "Seize"
    CORRECT_UP = "CorrectUp"
    CORRECT_DOWN = "CorrectDown"
    PLEDGE = "Pledge"
    RETURN_PLEDGE = "ReturnPledge"
    SEIZE_PLEDGE = "SeizePledge"
    SET_OFF = "SetOff"
    PAY = "Pay"
    PAY_KITTY = "PayKitty"
    PAY_SEIZED_PLEDGE = "PaySeizedPledge"


class Leg(NamedTuple):
    """One movement: from the credited to the debited account."""

    debit: tuple[Side, AccountKind]
    credit: tuple[Side, AccountKind]
    portion: Portion


_DEBTOR, _CREDITOR, _A = Side.DEBTOR, Side.CREDITOR, AccountKind
_OWED = Leg((_CREDITOR, _A.RECEIVABLE), (_DEBTOR, _A.PAYABLE), Portion.WHOLE)
_OWED_LESS = Leg((_DEBTOR, _A.PAYABLE), (_CREDITOR, _A.RECEIVABLE), Portion.WHOLE)

LEGS: Mapping[Event, tuple[Leg, ...]] = {
    Event.CHARGE: (Leg((_CREDITOR, _A.PENDING), (_DEBTOR, _A.PENDING), Portion.WHOLE),),
    Event.POST: (
        Leg((_CREDITOR, _A.RECEIVABLE), (_CREDITOR, _A.PENDING), Portion.DUE),
        Leg((_CREDITOR, _A.HOLDBACK), (_CREDITOR, _A.PENDING), Portion.HELD),
        Leg((_DEBTOR, _A.PENDING), (_DEBTOR, _A.PAYABLE), Portion.WHOLE),
    ),
    Event.VOID: (Leg((_DEBTOR, _A.PENDING), (_CREDITOR, _A.PENDING), Portion.WHOLE),),
    Event.RELEASE: (Leg((_CREDITOR, _A.RECEIVABLE), (_CREDITOR, _A.HOLDBACK), Portion.HELD),),
    Event.SEIZE: (Leg((_CREDITOR, _A.KITTY), (_CREDITOR, _A.HOLDBACK), Portion.HELD),),
    Event.CORRECT_UP: (_OWED,),
    Event.CORRECT_DOWN: (_OWED_LESS,),
    Event.PLEDGE: (Leg((_DEBTOR, _A.BOND), (_DEBTOR, _A.PAYABLE), Portion.WHOLE),),
    Event.RETURN_PLEDGE: (Leg((_DEBTOR, _A.PAYABLE), (_DEBTOR, _A.BOND), Portion.WHOLE),),
    Event.SEIZE_PLEDGE: (Leg((_DEBTOR, _A.KITTY), (_DEBTOR, _A.BOND), Portion.WHOLE),),
    Event.SET_OFF: (_OWED_LESS,),
    Event.PAY: (_OWED_LESS,),
    Event.PAY_KITTY: (Leg((_DEBTOR, _A.PAYABLE), (_CREDITOR, _A.KITTY), Portion.WHOLE),),
    Event.PAY_SEIZED_PLEDGE: (Leg((_DEBTOR, _A.PAYABLE), (_DEBTOR, _A.KITTY), Portion.WHOLE),),
}
PHASE: Mapping[Event, str] = {
    Event.POST: "resolution",
    Event.VOID: "resolution",
    Event.RELEASE: "release",
    Event.SEIZE: "release",
    Event.RETURN_PLEDGE: "end",
    Event.SEIZE_PLEDGE: "end",
}
"""A claim goes through each phase once; what is not named here is the claim's first phase."""
BEGINNING = "beginning"
REQUIRES: Mapping[Event, Event] = {
    Event.POST: Event.CHARGE,
    Event.VOID: Event.CHARGE,
    Event.RELEASE: Event.POST,
    Event.SEIZE: Event.POST,
    Event.RETURN_PLEDGE: Event.PLEDGE,
    Event.SEIZE_PLEDGE: Event.PLEDGE,
}
"""Event → the one that must have happened to the same claim before."""


def phase_of(event: Event) -> str:
    """Return the phase an event belongs to."""
    return PHASE.get(event, BEGINNING)


@dataclass(frozen=True, slots=True)
class Claim:
    """Who owes whom how much, in micros, of which ``held`` is kept back."""

    subject: str
    """What it is known by: the digest of a receipt, of a correction, or of a settlement and its pair."""
    debtor: str
    creditor: str
    amount: int
    currency: str
    held: int = 0

    def portion(self, portion: Portion) -> int:
        """Return a part of the amount, in micros."""
        if portion is Portion.HELD:
            return self.held
        return self.amount - self.held if portion is Portion.DUE else self.amount


class Account(NamedTuple):
    """One account of one institution."""

    institution: str
    kind: AccountKind


@dataclass(frozen=True, slots=True)
class Posting:
    """One movement of money between two accounts. Never changed: a correction is another one."""

    subject: str
    event: Event
    leg: int
    debtor: str
    creditor: str
    debit: Account
    credit: Account
    amount: int
    currency: str
    recorded_ms: int = 0


def postings(event: Event, claim: Claim, *, recorded_ms: int = 0) -> tuple[Posting, ...]:
    """Return what an event writes; a leg without money is not written.

    Raises ``ValueError`` where the claim is of nobody, negative, or holds back more than there is.
    """
    if not claim.debtor or not claim.creditor:
        raise ValueError(f"claim {claim.subject} needs a debtor and a creditor")
    if not 0 <= claim.held <= claim.amount:
        raise ValueError(f"claim {claim.subject}: 0 ≤ held ≤ amount does not hold")
    debtor, creditor = claim.debtor, claim.creditor
    return tuple(
        Posting(
            claim.subject,
            event,
            number,
            debtor,
            creditor,
            debit,
            credit,
            amount,
            claim.currency,
            recorded_ms,
        )
        for number, debit, credit, portion in _between(event, debtor, creditor)
        if (amount := claim.portion(portion))
    )


@lru_cache(4096)
def _between(
    event: Event, debtor: str, creditor: str
) -> tuple[tuple[int, Account, Account, Portion], ...]:
    """Return an event's legs between two institutions; a league has few pairs, and each claim asks."""
    names = {Side.DEBTOR: debtor, Side.CREDITOR: creditor}
    return tuple(
        (
            number,
            Account(names[leg.debit[0]], leg.debit[1]),
            Account(names[leg.credit[0]], leg.credit[1]),
            leg.portion,
        )
        for number, leg in enumerate(LEGS[event])
    )
