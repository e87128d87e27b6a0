"""A waiting job's place in the queue and expected start: what is told, and when it is told anew.

They change with every plan. They are written with a transition, and else only when they moved by
enough to matter to a person, at most once a minute a job: never one write a plan, and over a wait of
hours some ten. Which nodes are full changes as often, and is told anew after half an hour if nothing else was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from hansa.model.plan import Verdict, Waiting
from hansa.model.reasons import Reason
from hansa.model.times import from_rfc3339, rfc3339
from hansa.reconcile.hub.status.job_status import FAULTS
from hansa.reconcile.hub.status.verdict_rows import differ
from hansa.reconcile.hub.status.whole_conditions import by_type

LEAST_PAUSE_S = 60.0
VERDICTS_PAUSE_S = 1800.0
UNQUEUED = FAULTS | {
    Reason.POOL_MISCONFIGURED,
    Reason.SUSPENDED,
    Reason.WAITING_FOR_RELEASE,
}
"""Who waits for these stands in no queue."""
MATERIAL = 0.5
"""A change by half of what was told (of the wait that is left, for times) matters: each costs a write of the job."""


def of(outcome: Waiting) -> dict[str, Any]:
    """Return the status fields for what a plan says."""
    if outcome.reason in UNQUEUED:
        return {}
    told: dict[str, Any] = {"queuePosition": outcome.position}
    if outcome.start_p50_s is not None and outcome.start_p90_s is not None:
        told["startEstimate"] = {
            "p50": rfc3339(outcome.start_p50_s),
            "p90": rfc3339(outcome.start_p90_s),
        }
    return told


def due(status: Mapping[str, Any], outcome: Waiting, *, now_s: float, written_s: float) -> bool:
    """Tell whether a status should be written only because its figures moved.

    A start that comes nearer is told within a minute. One that recedes, as it does all the while where
    what runs ends later than expected, is told once the job has waited half as long again.

    ``written_s``: when the job's status was last written.
    """
    pause_s = now_s - written_s
    if pause_s < LEAST_PAUSE_S or not moved(status, outcome, now_s):
        return False
    return 2 * pause_s >= _waited_s(status, now_s) or _nearer(status, outcome, now_s)


def due_verdicts(
    status: Mapping[str, Any],
    verdicts: Callable[[], Iterable[Verdict]],
    *,
    now_s: float,
    written_s: float,
) -> bool:
    """Tell whether a status should be written only because nodes filled or emptied.

    ``verdicts``: ranked, and asked for only once it is time.
    """
    return now_s - written_s >= VERDICTS_PAUSE_S and differ(status, verdicts())


def moved(status: Mapping[str, Any], outcome: Waiting, now_s: float) -> bool:
    """Tell whether place or start moved materially from what the status says."""
    if outcome.reason in UNQUEUED:
        return False
    place = status.get("queuePosition")
    if place is None or abs(outcome.position - place) >= max(1, MATERIAL * place):
        return True
    before, after = status.get("startEstimate"), of(outcome).get("startEstimate")
    if before is None or after is None:
        return before is not after
    return any(_moved(before.get(odds), after[odds], now_s) for odds in ("p50", "p90"))


def _moved(before: object, after: str, now_s: float) -> bool:
    written_s, new_s = from_rfc3339(before), from_rfc3339(after)
    if written_s is None or new_s is None:
        return True
    return abs(new_s - written_s) >= max(LEAST_PAUSE_S, MATERIAL * (written_s - now_s))


def _waited_s(status: Mapping[str, Any], now_s: float) -> float:
    """Return how long a job has been known to wait."""
    placed = by_type(status.get("conditions")).get("Placed", {})
    return now_s - (from_rfc3339(placed.get("lastTransitionTime")) or now_s)


def _nearer(status: Mapping[str, Any], outcome: Waiting, now_s: float) -> bool:
    """Tell whether half of the places, or of the wait that was left, are gone."""
    place, told = status.get("queuePosition"), (status.get("startEstimate") or {}).get("p50")
    if place is not None and outcome.position <= MATERIAL * place and outcome.position < place:
        return True
    told_s, new_s = from_rfc3339(told), outcome.start_p50_s
    return told_s is not None and new_s is not None and new_s - now_s <= MATERIAL * (told_s - now_s)
