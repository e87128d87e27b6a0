"""A Project's status, as the ledger tells it: what was spent, and whether anything new may start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hansa.accounting import amounts
from hansa.model.times import rfc3339
from hansa.reconcile.conditions import StatedCondition, merged
from hansa.reconcile.hub.charging.projects import closed, parse_project

WARN_PERCENT = 80
"""From this share of the budget on the condition says so: work that runs is told in time."""
WARN_S = 7 * 86_400
"""From so long before its end on the condition says when that is."""


def project_status(
    manifest: Mapping[str, Any], spent: Mapping[str, int], now_s: float, currency: str
) -> dict[str, Any] | None:
    """Return a Project's status; None when nothing new is to be said.

    ``spent``: currency → micros; ``currency``: the league's.
    """
    present = manifest.get("status") or {}
    generation = manifest["metadata"].get("generation", 0)
    project = parse_project(manifest)
    counted = project.currency or currency
    micros = max(0, spent.get(counted, 0))
    fault = closed(replace(project, spent_micros=micros), now_s, currency)
    if fault is None:
        left = _left(micros, project.limit_micros)
        ends = f" It ends {rfc3339(project.end_s)}: then nothing new starts."
        is_soon = project.end_s - now_s <= WARN_S
        open_ = StatedCondition("Open", "True", "Open", left + (ends if is_soon else ""))
    else:
        open_ = StatedCondition("Open", "False", fault[0].value, fault[1])
    status = {
        "observedGeneration": generation,
        "spent": {"amount": amounts.text(micros, places=0), "currency": counted},
        "conditions": merged(
            present.get("conditions", ()), (open_,), now_s=now_s, generation=generation
        ),
    }
    if all(present.get(name) == value for name, value in status.items()):
        return None
    return status | {"spentAt": rfc3339(now_s)}


def _left(spent: int, limit: int) -> str:
    percent = spent * 100 // limit if limit else 100
    if percent < WARN_PERCENT:
        return "New work may start."
    return f"{percent} % of the budget is spent; at 100 % nothing new starts."
