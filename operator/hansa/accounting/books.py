"""Balances and what follows from them: who owes whom, and whether the books are in order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from hansa.accounting.postings import KITTY, Account, AccountKind, Posting

_NEVER_BELOW_ZERO = frozenset({AccountKind.HOLDBACK, AccountKind.BOND, AccountKind.KITTY})


class Pair(NamedTuple):
    """A debtor, a creditor, and the currency between them."""

    debtor: str
    creditor: str
    currency: str


@dataclass(frozen=True, slots=True)
class Books:
    """Balance per pair and account, in micros: debits less credits."""

    balances: Mapping[tuple[Pair, Account], int] = field(default_factory=dict)

    def of(self, institution: str, kind: AccountKind, currency: str) -> int:
        """Return an institution's balance on one of its accounts, in micros."""
        account = Account(institution, kind)
        return sum(
            balance
            for (pair, at), balance in self.balances.items()
            if at == account and pair.currency == currency
        )

    def accounts(self) -> Mapping[tuple[Account, str], int]:
        """Return (account, currency) → balance, in micros."""
        totals: dict[tuple[Account, str], int] = defaultdict(int)
        for (pair, account), balance in self.balances.items():
            totals[account, pair.currency] += balance
        return {key: totals[key] for key in sorted(totals)}

    def obligations(self, currency: str) -> Mapping[tuple[str, str], int]:
        """Return (debtor, creditor) → micros that are due now. Nobody owes to themselves.

        What was corrected to below nothing, or paid twice, is owed the other way round.
        """
        due: dict[tuple[str, str], int] = defaultdict(int)
        for (pair, account), balance in self.balances.items():
            if pair.currency != currency or not balance:
                continue
            if account.kind is AccountKind.KITTY:
                due[pair.debtor, KITTY] += balance
            elif account.kind is AccountKind.RECEIVABLE and pair.debtor != pair.creditor:
                due[pair.debtor, pair.creditor] += balance
        for debtor, creditor in sorted(due):
            _turn(due, debtor, creditor)
        return {key: due[key] for key in sorted(due) if due[key]}

    def kitty(self, debtor: str, currency: str) -> Mapping[str, int]:
        """Return creditor → micros that a debtor owes to the kitty instead: seized from it, or pledged."""
        return {
            pair.creditor: balance
            for (pair, account), balance in sorted(self.balances.items())
            if (pair.debtor, pair.currency) == (debtor, currency)
            and account.kind is AccountKind.KITTY
            and balance > 0
        }


def _turn(due: dict[tuple[str, str], int], debtor: str, creditor: str) -> None:
    """Have what is below nothing owed the other way round, where it may cancel what is below there."""
    micros = due[debtor, creditor]
    if micros < 0:
        due[debtor, creditor] = 0
        due[creditor, debtor] = due.get((creditor, debtor), 0) - micros


def books_of(postings: Iterable[Posting]) -> Books:
    """Add postings up."""
    balances: dict[tuple[Pair, Account], int] = defaultdict(int)
    for posting in postings:
        pair = Pair(posting.debtor, posting.creditor, posting.currency)
        balances[pair, posting.debit] += posting.amount
        balances[pair, posting.credit] -= posting.amount
    return Books(dict(balances))


def disorders(books: Books) -> tuple[str, ...]:
    """Return what in the books cannot be, a sentence each; empty: they are in order."""
    settled: dict[Pair, int] = defaultdict(int)
    pending: dict[Pair, int] = defaultdict(int)
    found: list[str] = []
    for (pair, account), balance in sorted(books.balances.items()):
        sums = pending if account.kind is AccountKind.PENDING else settled
        sums[pair] += balance
        found += _overdrawn(pair, account, balance)
    for name, sums in (("what is pending", pending), ("what is owed", settled)):
        found += [f"{name} between {_named(pair)} is off by {n}" for pair, n in sums.items() if n]
    return tuple(found)


def _overdrawn(pair: Pair, account: Account, balance: int) -> Iterator[str]:
    is_creditor = account.institution == pair.creditor and pair.debtor != pair.creditor
    is_pending = account.kind is AccountKind.PENDING and is_creditor
    if balance < 0 and (account.kind in _NEVER_BELOW_ZERO or is_pending):
        yield f"{account.institution}/{account.kind} is overdrawn by {-balance}, {_named(pair)}"


def _named(pair: Pair) -> str:
    return f"{pair.debtor} and {pair.creditor} in {pair.currency}"
