"""The books as plain-text accounting: Beancount's syntax, as far as hledger reads it too.

So it has no options and no metadata lines; what a posting follows from stands in its narration.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import groupby

from hansa.accounting import amounts
from hansa.accounting.postings import KITTY, Account, AccountKind, Posting


def journal(postings: Iterable[Posting]) -> str:
    """Return the transactions of postings, the oldest first, one for each event of a claim."""
    rows = sorted(postings, key=lambda row: (row.recorded_ms, row.subject, row.event, row.leg))
    accounts: dict[str, str] = {}
    for row in rows:
        for account in (row.debit, row.credit):
            accounts.setdefault(name_of(account), _day(row.recorded_ms))
    opened = [f"{day} open {name}\n" for name, day in sorted(accounts.items())]
    events = groupby(rows, key=lambda row: (row.recorded_ms, row.subject, row.event))
    return "".join((*opened, *(_transaction(list(legs)) for _, legs in events)))


def name_of(account: Account) -> str:
    """Return an account's name in the journal: whose it is comes last.

    >>> name_of(Account("tartu-hospital", AccountKind.PAYABLE))
    'Liabilities:Payable:Tartu-hospital'
    """
    root = "Liabilities" if account.kind is AccountKind.PAYABLE else "Assets"
    owner = account.institution
    # Institutions are lower case: nobody but the kitty is called in capitals.
    whose = "KITTY" if owner == KITTY else owner[:1].upper() + owner[1:]
    return f"{root}:{account.kind.value.capitalize()}:{whose}"


def _transaction(legs: list[Posting]) -> str:
    first = legs[0]
    lines = [f'\n{_day(first.recorded_ms)} * "{first.event.value} {first.subject}"']
    for leg in legs:
        lines.append(f"  {name_of(leg.debit)}  {amounts.text(leg.amount)} {leg.currency}")
        lines.append(f"  {name_of(leg.credit)}  {amounts.text(-leg.amount)} {leg.currency}")
    return "\n".join(lines) + "\n"


def _day(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds // 1000, tz=UTC).date().isoformat()
