"""The hub states an object's conditions whole: what is not wanted any more goes.

The member lays new ones over old ones instead (``conditions.merged``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hansa.reconcile.conditions import MAX_MESSAGE, StatedCondition


def merge(
    present: object,
    wanted: Iterable[StatedCondition],
    *,
    now: str,
    generation: int,
    worded: frozenset[str] = frozenset(),
) -> list[dict[str, Any]]:
    """Return the wanted conditions as JSON; what is not wanted any more is gone.

    ``now`` (RFC 3339) becomes the transition time where the status changed. A message alone does not
    count as news: the old one stays, so that a write is due only for a transition. ``worded``: types
    of which it does, for nothing else tells one fault from another.
    """
    before = by_type(present)
    return [
        _merged(before.get(fact.type), fact, now, generation, keeps=fact.type not in worded)
        for fact in wanted
    ]


def by_type(conditions: object) -> dict[str, Mapping[str, Any]]:
    """Return conditions from the wire by type; anything malformed is left out."""
    rows = conditions if isinstance(conditions, list | tuple) else ()
    return {str(row.get("type")): row for row in rows if isinstance(row, Mapping)}


def _merged(
    old: Mapping[str, Any] | None, fact: StatedCondition, now: str, generation: int, *, keeps: bool
) -> dict[str, Any]:
    same = old is not None and old.get("status") == fact.status
    told = keeps and same and old is not None and old.get("reason") == fact.reason
    told = told and old is not None and old.get("observedGeneration") == generation
    return {
        "type": fact.type,
        "status": fact.status,
        "reason": fact.reason,
        "message": str(old.get("message", ""))
        if told and old is not None
        else fact.message[:MAX_MESSAGE],
        "lastTransitionTime": str(old["lastTransitionTime"])
        if same and old is not None and "lastTransitionTime" in old
        else now,
        "observedGeneration": generation,
    }
