"""Whatever happens to claims in whatever lawful order: the books balance after each step."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.accounting.books import Books, books_of, disorders
from hansa.accounting.postings import (
    KITTY,
    LEGS,
    REQUIRES,
    AccountKind,
    Claim,
    Event,
    Posting,
    phase_of,
    postings,
)

WAYS: dict[str, tuple[Event, ...]] = {
    "pending": (Event.CHARGE,),
    "void": (Event.CHARGE, Event.VOID),
    "posted": (Event.CHARGE, Event.POST),
    "released": (Event.CHARGE, Event.POST, Event.RELEASE),
    "seized": (Event.CHARGE, Event.POST, Event.SEIZE),
}
CLAIM = Claim("r1", "clinic", "ut", 1000, "EUR", held=100)
STANDS = {
    # creditor: pending, receivable, holdback, kitty; debtor: pending, payable
    "pending": (1000, 0, 0, 0, -1000, 0),
    "void": (0, 0, 0, 0, 0, 0),
    "posted": (0, 900, 100, 0, 0, -1000),
    "released": (0, 1000, 0, 0, 0, -1000),
    "seized": (0, 900, 0, 100, 0, -1000),
}


def _rows(claim: Claim, *events: Event) -> list[Posting]:
    return [row for event in events for row in postings(event, claim)]


@pytest.mark.parametrize("way", WAYS)
def test_each_way_of_a_claim_leaves_these_balances(way: str) -> None:
    books = books_of(_rows(CLAIM, *WAYS[way]))
    kinds = (AccountKind.PENDING, AccountKind.RECEIVABLE, AccountKind.HOLDBACK, AccountKind.KITTY)
    found = [books.of("ut", kind, "EUR") for kind in kinds]
    found += [
        books.of("clinic", kind, "EUR") for kind in (AccountKind.PENDING, AccountKind.PAYABLE)
    ]
    assert tuple(found) == STANDS[way]


def test_what_is_seized_is_owed_to_the_kitty_and_to_nobody_else() -> None:
    bond = Claim("b1", "ut", KITTY, 500, "EUR")
    books = books_of(_rows(CLAIM, *WAYS["seized"]) + _rows(bond, Event.PLEDGE, Event.SEIZE_PLEDGE))
    assert books.obligations("EUR") == {
        ("clinic", KITTY): 100,
        ("clinic", "ut"): 900,
        ("ut", KITTY): 500,
    }
    assert books.of("ut", AccountKind.KITTY, "EUR") == 600


def test_a_pledge_is_due_only_once_it_is_seized() -> None:
    bond = Claim("b1", "ut", KITTY, 500, "EUR")
    assert not books_of(_rows(bond, Event.PLEDGE)).obligations("EUR")
    returned = books_of(_rows(bond, Event.PLEDGE, Event.RETURN_PLEDGE))
    assert set(returned.balances.values()) == {0}


def test_own_use_is_booked_and_owed_to_nobody() -> None:
    books = books_of(_rows(replace(CLAIM, creditor="clinic"), *WAYS["released"]))
    assert not disorders(books)
    assert not books.obligations("EUR")


def test_paying_the_kitty_ends_its_claims() -> None:
    bond = Claim("b1", "ut", KITTY, 500, "EUR")
    rows = _rows(CLAIM, *WAYS["seized"]) + _rows(bond, Event.PLEDGE, Event.SEIZE_PLEDGE)
    rows += postings(Event.PAY_KITTY, replace(CLAIM, subject="p1", amount=100, held=0))
    rows += postings(Event.PAY_SEIZED_PLEDGE, replace(bond, subject="p2"))
    assert books_of(rows).obligations("EUR") == {("clinic", "ut"): 900}


AMOUNTS = st.integers(0, 10**12)
NAMES = st.sampled_from(["clinic", "ut", "lab"])
SETTLED = (Event.CORRECT_UP, Event.CORRECT_DOWN, Event.SET_OFF, Event.PAY)


@st.composite
def _histories(draw: st.DrawFn) -> list[Posting]:
    rows: list[Posting] = []
    for number in range(draw(st.integers(1, 12))):
        amount = draw(AMOUNTS)
        claim = Claim(str(number), draw(NAMES), draw(NAMES), amount, "EUR")
        if draw(st.booleans()):
            claim = replace(claim, held=draw(st.integers(0, amount)))
            rows += _rows(claim, *WAYS[draw(st.sampled_from(sorted(WAYS)))])
        elif draw(st.booleans()):
            ends = [(), (Event.RETURN_PLEDGE,), (Event.SEIZE_PLEDGE,)]
            pledge = replace(claim, creditor=KITTY)
            rows += _rows(pledge, Event.PLEDGE, *draw(st.sampled_from(ends)))
        else:
            rows += _rows(claim, draw(st.sampled_from(SETTLED)))
    return rows


@given(_histories())
def test_the_books_balance_after_each_posting(rows: list[Posting]) -> None:
    for end in range(len(rows) + 1):
        assert not [text for text in disorders(books_of(rows[:end])) if "off by" in text] or (
            rows[end - 1].event is Event.POST and rows[end : end + 1]
        )
    assert not disorders(books_of(rows))


def test_disorder_is_named() -> None:
    charge, seize = postings(Event.CHARGE, CLAIM), postings(Event.SEIZE, CLAIM)
    assert disorders(books_of(seize)) == ("ut/holdback is overdrawn by 100, clinic and ut in EUR",)
    crooked = replace(charge[0], debit=charge[0].debit._replace(kind=AccountKind.RECEIVABLE))
    assert len(disorders(books_of([crooked]))) == 2
    assert disorders(Books()) == ()


@pytest.mark.parametrize(
    "claim",
    [replace(CLAIM, held=1001), replace(CLAIM, amount=-1, held=0), replace(CLAIM, debtor="")],
)
def test_an_impossible_claim_is_refused(claim: Claim) -> None:
    with pytest.raises(ValueError, match="claim r1"):
        postings(Event.CHARGE, claim)


def test_every_event_has_legs_and_what_must_precede_it_lies_in_an_earlier_phase() -> None:
    assert set(LEGS) == set(Event)
    assert all(phase_of(event) != phase_of(before) for event, before in REQUIRES.items())
