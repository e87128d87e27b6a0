"""A clearing follows from the books between its signers, and from nothing else."""

from dataclasses import replace

import pytest

from hansa.accounting.books import books_of
from hansa.accounting.postings import KITTY, Claim, Event, postings
from hansa.accounting.settlement.clearing import clear_books, departures
from tests.unit.accounting.settlement.clearings import (
    EUR,
    KEY_IDS,
    LIMITS,
    OWED,
    PERIOD,
    books,
    clearing,
    rows_of,
)

FIRST = ("clinic", "lab")


def test_it_is_between_those_who_sign_and_leaves_others_alone() -> None:
    found = clearing()
    assert ("abroad", "ut") not in found.obligations
    assert found.set_off == {
        ("clinic", "lab"): 3 * EUR,
        ("clinic", "ut"): EUR,
        ("lab", "ut"): 3 * EUR,
        ("ut", "clinic"): 4 * EUR,
    }
    assert found.carried == {("clinic", "lab"): 2 * EUR}
    assert found.paid == {("clinic", "lab"): 4 * EUR, ("lab", "ut"): 2 * EUR}


def test_the_kitty_is_owed_and_signs_nothing() -> None:
    seized = Claim("r9", "clinic", "ut", 10 * EUR, "EUR", held=EUR)
    rows = [
        *rows_of(),
        *(r for e in (Event.CHARGE, Event.POST, Event.SEIZE) for r in postings(e, seized)),
    ]
    found = clear_books(PERIOD, books_of(rows), {}, KEY_IDS)
    assert found.paid["clinic", KITTY] == EUR
    assert KITTY not in found.signers


DEPARTURES = {
    "a debt made larger": (
        {"obligations": {**clearing().obligations, FIRST: 10 * EUR}},
        "obligations",
    ),
    "a debt that is not there": ({"paid": {("ut", "lab"): EUR}}, "paid, ut to lab"),
    "less set off": ({"set_off": {**clearing().set_off, FIRST: EUR}}, "set off, clinic to lab"),
    "paid instead of carried": ({"carried": {}}, "the document says 0.00, the books 2.00"),
    "another limit": ({"limits": {}}, "the document says 4.00, the books 6.00"),
    "a signer left out": ({"signers": {"clinic": "x", "lab": "y"}}, "lab to ut"),
}


@pytest.mark.parametrize("case", DEPARTURES)
def test_what_departs_from_the_books_is_named(case: str) -> None:
    changes, says = DEPARTURES[case]
    assert not list(departures(clearing(), books()))
    assert any(says in text for text in departures(replace(clearing(), **changes), books()))


def test_what_was_recorded_since_changes_it() -> None:
    assert list(departures(clearing(), books(OWED | {FIRST: 9 * EUR + 1})))


def test_debts_below_nothing_on_both_sides_cancel_and_do_not_grow() -> None:
    """Set off again and again, a correction below nothing would come back each month."""
    downs = [Claim(f"d{n}", *pair, EUR, "EUR") for n, pair in enumerate((FIRST, FIRST[::-1]))]
    rows = [row for claim in downs for row in postings(Event.CORRECT_DOWN, claim)]
    assert not books_of(rows).obligations("EUR")
    one = books_of(postings(Event.CORRECT_DOWN, downs[0]))
    assert one.obligations("EUR") == {FIRST[::-1]: EUR}


def test_limits_and_keys_are_part_of_what_is_signed() -> None:
    other = clear_books(PERIOD, books(), LIMITS, KEY_IDS | {"ut": KEY_IDS["lab"]})
    assert len({clearing().digest, other.digest, replace(clearing(), limits={}).digest}) == 3
