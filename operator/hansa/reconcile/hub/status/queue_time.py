"""How long a job has waited. Only time spent in a queue counts: it gives rank, and must be earned.

Time in which the job held a node, was suspended, or asked for what nobody could grant does not count.
"""

from __future__ import annotations

from typing import Any

from hansa.model.times import from_rfc3339, rfc3339
from hansa.reconcile.hub.job_view import JobView


def submitted_as_s(job: JobView) -> int:
    """Return when the job would have been submitted, had it done nothing but wait since."""
    since_s = _since_s(job)
    if since_s is None and job.node:
        since_s = from_rfc3339(job.status.get("grantedAt"))
    return job.submitted_s if since_s is None else int(since_s - _waited_s(job))


def is_queued(job: JobView) -> bool:
    """Tell whether it is written since when the job waits; without, it would have waited for ever."""
    return bool(job.node) or _since_s(job) is not None


def told(job: JobView, now_s: float, *, waits: bool) -> dict[str, Any]:
    """Return the status fields for a job that waits from now on, or does not; None: to be removed."""
    since_s = _since_s(job)
    if waits:
        return {} if since_s is not None else {"waitingSince": rfc3339(now_s)}
    if since_s is None:
        return {"waitingSince": None}
    waited_s = _waited_s(job) + max(0, int(now_s - since_s))
    return {"waitedSeconds": waited_s, "waitingSince": None}


def _since_s(job: JobView) -> float | None:
    """Return when the present wait began; None while the job does not wait."""
    since_s = from_rfc3339(job.status.get("waitingSince"))
    if since_s is not None:
        return since_s
    never_left = not job.node and "waitedSeconds" not in job.status
    return job.submitted_s if never_left else None


def _waited_s(job: JobView) -> int:
    return int(job.status.get("waitedSeconds", 0))
