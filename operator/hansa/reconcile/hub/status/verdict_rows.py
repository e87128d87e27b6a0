"""Why each node does not run a job, as its status says it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hansa.model.plan import Verdict
from hansa.reconcile.interning import Derived

MAX_VERDICTS = 32


def rows_of(verdicts: Iterable[Verdict]) -> list[dict[str, str]]:
    """Return verdicts as a status has them: ranked, and no more than it has room for."""
    # A tuple stays as it is, and the same one is told to hundreds of jobs.
    return _ROWS.of(verdicts) if isinstance(verdicts, tuple) else _rows(verdicts)


def _rows(verdicts: Iterable[Verdict]) -> list[dict[str, str]]:
    return [
        {"node": row.site, "reason": row.reason.value, "message": row.message[:1024]}
        for row in ranked(verdicts)
    ]


_ROWS: Derived[tuple[Verdict, ...], list[dict[str, str]]] = Derived(_rows)


def ranked(verdicts: Iterable[Verdict]) -> tuple[Verdict, ...]:
    """Return the verdicts that a status has room for, gravest first."""
    order = sorted(verdicts, key=lambda verdict: (verdict.reason.gravity, verdict.site))
    return tuple(order[:MAX_VERDICTS])


def differ(status: Mapping[str, Any], verdicts: Iterable[Verdict]) -> bool:
    """Tell whether a status has other verdicts than these, which are ranked."""
    shown = [(row["node"], row["reason"]) for row in status.get("verdicts", ())]
    return shown != [(row.site, row.reason.value) for row in verdicts]
