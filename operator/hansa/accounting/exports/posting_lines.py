"""The books as JSON lines, one posting each: from them anybody works balances and clearings out anew."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from hansa.accounting.postings import Account, AccountKind, Event, Posting
from hansa.errors import Terminal

_TEXTS = ("subject", "debtor", "creditor", "currency")
_NUMBERS = ("leg", "amount", "recorded_ms")
_FIELDS = frozenset({*_TEXTS, *_NUMBERS, "event", "debit", "credit"})


def posting_lines(postings: Iterable[Posting]) -> Iterator[bytes]:
    """Yield a line for each posting, with its line feed; money in micros, times in milliseconds."""
    for row in postings:
        yield orjson.dumps(
            {
                **{name: getattr(row, name) for name in (*_TEXTS, *_NUMBERS)},
                "event": row.event.value,
                "debit": list(row.debit),
                "credit": list(row.credit),
            },
            option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE,
        )


def read_posting_lines(lines: Iterable[bytes]) -> Iterator[Posting]:
    """Yield the postings in an export; raises ``Terminal`` naming the line that is none."""
    for number, line in enumerate(lines, 1):
        try:
            yield _posting(orjson.loads(line))
        except (ValueError, TypeError, KeyError) as error:
            text = f"line {number} of the export is no posting: {error!s:.200}"
            raise Terminal(text, reason="BadExport") from error


def _posting(said: Any) -> Posting:
    if not isinstance(said, dict) or said.keys() != _FIELDS:
        raise ValueError(f"a posting has the fields {', '.join(sorted(_FIELDS))}")
    texts = {name: said[name] for name in _TEXTS}
    numbers = {name: said[name] for name in _NUMBERS}
    if not all(isinstance(text, str) and text for text in texts.values()):
        raise ValueError(f"{', '.join(_TEXTS)} are texts")
    if not all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in numbers.values()):
        raise ValueError(f"{', '.join(_NUMBERS)} are whole numbers, zero or more")
    return Posting(
        event=Event(said["event"]),
        debit=_account(said["debit"]),
        credit=_account(said["credit"]),
        **texts,
        **numbers,
    )


def _account(said: Any) -> Account:
    if not isinstance(said, list):
        raise TypeError("an account is an institution and a kind")
    institution, kind = said
    return Account(str(institution), AccountKind(kind))
