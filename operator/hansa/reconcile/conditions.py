"""Conditions as ``metav1.Condition`` wants them: one a type, times move only when the status does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from hansa.model.times import rfc3339

MAX_MESSAGE = 1024
ConditionStatus = Literal["True", "False", "Unknown"]


@dataclass(frozen=True, slots=True)
class StatedCondition:
    """One condition to be stated."""

    type: str
    status: ConditionStatus
    reason: str
    message: str = ""


def merged(
    old: Iterable[Mapping[str, Any]],
    new: Iterable[StatedCondition],
    *,
    now_s: float,
    generation: int,
) -> list[dict[str, Any]]:
    """Return ``old`` with ``new`` laid over it, in the old order, new types last."""
    result = {str(condition.get("type")): dict(condition) for condition in old}
    for said in new:
        before = result.get(said.type)
        same = before is not None and before.get("status") == said.status
        since = before.get("lastTransitionTime") if before is not None and same else None
        result[said.type] = {
            "type": said.type,
            "status": said.status,
            "reason": said.reason,
            "message": said.message[:MAX_MESSAGE],
            "lastTransitionTime": since or rfc3339(now_s),
            "observedGeneration": generation,
        }
    return list(result.values())
