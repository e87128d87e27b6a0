"""Whether a run that came to an end is worth another one: the job's ``spec.retry`` over one table.

What each cause means stands in ``grants.reasons.COURSES``; how often it happened, in ``status.retries``.
A run that somebody stopped (the hub, an institution, a contract) is none that is counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hansa.api.job.retry import Cause, Retry
from hansa.api.meta import Condition
from hansa.grants.reasons import COURSES, Course
from hansa.reconcile.conditions import MAX_MESSAGE
from hansa.reconcile.hub.grant_view import GrantView
from hansa.reconcile.hub.job_view import JobView

Row = Mapping[str, Any]


def end_of(job: JobView, grant: GrantView) -> Condition | None:
    """Return the condition that says how the job ends with this run; None: it goes on, or runs again."""
    said = grant.broken
    if said is None:
        # A reason that this hub does not know is an end all the same.
        kind = "Succeeded" if grant.holds("Succeeded") else "Failed"
        return grant.condition(kind) if grant.holds(kind) else None
    if again(job, grant):
        return None
    return said.model_copy(
        update={"type": "Failed", "status": "True", "message": _last_words(job, grant, said)}
    )


def again(job: JobView, grant: GrantView) -> bool:
    """Tell whether a run that came to an end is followed by another one."""
    said = grant.broken
    if said is None:
        return False
    cause, retry, rows = Cause(said.reason), _retry(job), _rows(job)
    most = next((row.limit for row in retry.causes if row.cause is cause), None)
    if most is None:
        most = 0 if COURSES[cause] is Course.GIVE_UP else retry.limit
    total = sum(row["times"] for row in rows.values())
    return total < retry.limit and _times(rows, cause) < most


def counted(job: JobView, grant: GrantView) -> dict[str, Any]:
    """Return the status field that counts one more run."""
    said, rows = grant.broken, _rows(job)
    if said is None:
        return {}
    before = rows.pop(said.reason, None)
    row = {
        "cause": said.reason,
        "times": 1 + (before["times"] if before else 0),
        "specDigest": job.parsed.digest,
        "node": grant.node,
        "message": said.message,
    }
    return {"retries": [*rows.values(), row]}


def _last_words(job: JobView, grant: GrantView, said: Condition) -> str:
    """Return the member's words and, where the job was tried before, how often."""
    runs = 1 + sum(row["times"] for row in _rows(job).values())
    tries = f" That was run {runs}, at node {grant.node}; spec.retry allows no more." * (runs > 1)
    return f"{said.message[: MAX_MESSAGE - len(tries)]}{tries}"


def _retry(job: JobView) -> Retry:
    return job.parsed.spec.retry if job.parsed.spec else Retry()


def _rows(job: JobView) -> dict[str, Row]:
    rows = job.status.get("retries", ())
    return {row["cause"]: row for row in rows if row.get("specDigest") == job.parsed.digest}


def _times(rows: Mapping[str, Row], cause: Cause) -> int:
    return int(rows[cause]["times"]) if cause in rows else 0
