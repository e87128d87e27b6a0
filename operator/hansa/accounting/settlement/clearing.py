"""One period's clearing as a document: every member recomputes it from the books, to the byte.

It follows from what was recorded before one moment, ``until``, between the institutions that sign it.
What others owe, or are owed, stays as it is.

After the set-off each debtor carries what it still owes into the next period, as far as the members
let it (its mutual credit limit). What is beyond the limit is paid, the largest debts first, in whole
amounts that a bank can move. Nothing in it can be traded: a carried debt stays between its two.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import rfc8785

from hansa.accounting import amounts
from hansa.accounting.books import Books
from hansa.accounting.postings import KITTY, owner_in_words
from hansa.accounting.settlement.set_off import Obligations, checked, less, set_off
from hansa.model.times import rfc3339

ALGORITHM = "hansa.dev/set-off/v1"


@dataclass(frozen=True, slots=True)
class Period:
    """What is cleared: which time, and which state of the log it follows from."""

    name: str
    """For example ``2026-11``."""
    currency: str
    until_ms: int = 0
    """It follows from what was recorded before; whole seconds, Unix epoch."""
    log_size: int = 0
    log_root: str = ""
    """``sha256:…`` of the checkpoint; empty where there is no log."""


@dataclass(frozen=True, slots=True)
class Clearing:
    """What becomes of the debts between those who sign, in micros."""

    period: Period
    obligations: Obligations
    set_off: Obligations
    paid: Obligations
    carried: Obligations
    limits: Mapping[str, int] = field(default_factory=dict)
    """Institution → what it may carry."""
    signers: Mapping[str, str] = field(default_factory=dict)
    """Institution → id of the key that it signs with."""

    @property
    def cleared_share(self) -> float:
        """Share of the debts that the set-off alone cleared, for reports."""
        total = sum(self.obligations.values())
        return sum(self.set_off.values()) / total if total else 0.0

    def canonical(self) -> bytes:
        """Return the document that members countersign (RFC 8785; amounts are decimal texts)."""
        return rfc8785.dumps(
            {
                "algorithm": ALGORITHM,
                "period": self.period.name,
                "currency": self.period.currency,
                "until": rfc3339(self.period.until_ms // 1000),
                "logSize": self.period.log_size,
                "logRoot": self.period.log_root,
                "obligations": _rows(self.obligations),
                "setOff": _rows(self.set_off),
                "paid": _rows(self.paid),
                "carried": _rows(self.carried),
                "limits": {name: amounts.text(n) for name, n in sorted(self.limits.items())},
                "signers": dict(sorted(self.signers.items())),
            }
        )

    @property
    def digest(self) -> str:
        """``sha256:…`` of the document."""
        return f"sha256:{hashlib.sha256(self.canonical()).hexdigest()}"


def clear(
    period: Period,
    obligations: Obligations,
    limits: Mapping[str, int] | None = None,
    signers: Mapping[str, str] | None = None,
) -> Clearing:
    """Clear a period. ``limits``: institution → micros it may carry; one not named pays all."""
    owed, limits = checked(obligations), dict(limits or {})
    settled = set_off(owed)
    left = less(owed, settled)
    paid = _payments(left, limits, period.currency)
    return Clearing(period, owed, settled, paid, less(left, paid), limits, dict(signers or {}))


def clear_books(
    period: Period, books: Books, limits: Mapping[str, int], signers: Mapping[str, str]
) -> Clearing:
    """Clear what signers owe each other, and the kitty. ``books``: of what was recorded before ``until``."""
    owed = {
        (debtor, creditor): micros
        for (debtor, creditor), micros in books.obligations(period.currency).items()
        if debtor in signers and (creditor in signers or creditor == KITTY)
    }
    return clear(period, owed, limits, signers)


def departures(clearing: Clearing, books: Books) -> Iterator[str]:
    """Yield in what a clearing departs from one that is worked out anew, a sentence each."""
    again = clear_books(clearing.period, books, clearing.limits, clearing.signers)
    for name in ("obligations", "set_off", "paid", "carried"):
        said, found = getattr(clearing, name), getattr(again, name)
        for debtor, creditor in sorted({*said, *found}):
            here, there = said.get((debtor, creditor), 0), found.get((debtor, creditor), 0)
            if here != there:
                yield (
                    f"{name.replace('_', ' ')}, {debtor} to {owner_in_words(creditor)}: the document says"
                    f" {amounts.text(here)}, the books {amounts.text(there)}"
                )


def _payments(
    left: Obligations, limits: Mapping[str, int], currency: str
) -> dict[tuple[str, str], int]:
    debts: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for (debtor, creditor), micros in left.items():
        debts[debtor].append((micros, creditor))
    paid: dict[tuple[str, str], int] = {}
    for debtor, rows in debts.items():
        over = sum(micros for micros, _ in rows) - limits.get(debtor, 0)
        for micros, creditor in sorted(rows, key=lambda row: (row[1] != KITTY, -row[0], row[1])):
            due = amounts.payable(min(micros, max(0, over)), currency)
            if due:
                paid[debtor, creditor] = due
                over -= due
    return dict(sorted(paid.items()))


def _rows(obligations: Obligations) -> list[list[str]]:
    return [[a, b, amounts.text(micros)] for (a, b), micros in sorted(obligations.items())]
