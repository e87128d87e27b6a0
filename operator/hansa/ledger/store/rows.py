"""A use as a row of the books, and back."""

from __future__ import annotations

import hashlib
import json
from operator import attrgetter
from typing import Any

from sqlalchemy import RowMapping

from hansa.accounting.postings import AccountKind, Claim, Event, Posting, phase_of
from hansa.accounting.usage import Usage

Row = dict[str, Any]
_LONGEST = 512
_USAGE = tuple(Usage.__dataclass_fields__)
_CLAIM = tuple(Claim.__dataclass_fields__)
_values = attrgetter(*_USAGE)
_claimed = attrgetter(*_CLAIM)
_VALUES = {kind: kind.value for kind in AccountKind}
"""Looked up, for an enumeration's own lookup is slow."""


def receipt_row(usage: Usage, recorded_ms: int) -> Row:
    """Return the row of a use."""
    # Not asdict: it copies deeply, and took most of the time of a posting.
    row = dict(zip(_USAGE, _values(usage), strict=True))
    row["data_sets"] = json.dumps(usage.data_sets)
    return row | {"fingerprint": fingerprint(usage), "recorded_ms": recorded_ms}


def usage_of(row: RowMapping) -> Usage:
    """Return the use of a row."""
    fields = {name: row[name] for name in _USAGE}
    return Usage(**fields | {"data_sets": tuple(json.loads(row["data_sets"]))})


def fingerprint(usage: Usage) -> str:
    """Return a digest of all that a use says: one receipt cannot say two things."""
    return hashlib.sha256(json.dumps(_values(usage)).encode()).hexdigest()


def body(usage: Usage) -> str:
    """Return a use as JSON, for uses that no table of numbers could hold."""
    return json.dumps(dict(zip(_USAGE, _values(usage), strict=True)))


def shown(text: str) -> str:
    """Return a stranger's text so that any database takes it: printable, and not without end."""
    return text[:_LONGEST].encode("unicode_escape").decode("ascii")


def entry_row(
    event: Event, claim: Claim, *, recorded_ms: int, note: str = "", refers_to: str | None = None
) -> Row:
    """Return the row of an entry."""
    return dict(zip(_CLAIM, _claimed(claim), strict=True)) | {
        "phase": phase_of(event),
        "event": event.value,
        "recorded_ms": recorded_ms,
        "note": note,
        "refers_to": refers_to,
    }


def posting_row(one: Posting) -> Row:
    """Return the row of a posting."""
    return {
        "subject": one.subject,
        "phase": phase_of(one.event),
        "leg": one.leg,
        "debtor": one.debtor,
        "creditor": one.creditor,
        "debit_institution": one.debit.institution,
        "debit_account": _VALUES[one.debit.kind],
        "credit_institution": one.credit.institution,
        "credit_account": _VALUES[one.credit.kind],
        "amount": one.amount,
        "currency": one.currency,
    }
