"""When each job's status was last written, and whose figures or verdicts have moved since.

A look at a long queue is spread over several calls, so that none of them holds up the loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

from hansa.model.plan import Verdict, Waiting
from hansa.reconcile.hub.job_view import JobView
from hansa.reconcile.hub.status import pacing

MOST_LOOKED_AT = 2000
MOST_DUE = 100
"""Bounds of one call."""


class StatusPacing:
    """Times of the last status writes of this process; what it did not write counts as long ago."""

    def __init__(self) -> None:
        """Begin empty."""
        self._at_s: dict[str, float] = {}
        self._next = 0

    def note(self, uid: str, now_s: float) -> None:
        """Note that a job's status was written."""
        self._at_s[uid] = now_s

    def forget(self, uid: str) -> None:
        """Drop a job that waits no longer."""
        self._at_s.pop(uid, None)

    def at_s(self, uid: str) -> float:
        """Return when a job's status was last written."""
        return self._at_s.get(uid, 0.0)

    def due(
        self,
        queue: Sequence[Waiting],
        job_of: Callable[[str], JobView | None],
        verdicts_of: Callable[[str], Iterable[Verdict]],
        now_s: float,
    ) -> Iterator[str]:
        """Yield jobs whose status is to be written anew, going on where the last call ended."""
        found, start = 0, self._next if self._next < len(queue) else 0
        self._next = start
        for said in queue[start : start + MOST_LOOKED_AT]:
            self._next += 1
            written_s = self.at_s(said.job_uid)
            if now_s - written_s < pacing.LEAST_PAUSE_S:
                continue
            job = job_of(said.job_uid)
            if job is None:
                continue
            verdicts = partial(verdicts_of, said.job_uid)
            if not (
                pacing.due(job.status, said, now_s=now_s, written_s=written_s)
                or pacing.due_verdicts(job.status, verdicts, now_s=now_s, written_s=written_s)
            ):
                continue
            yield said.job_uid
            found += 1
            if found == MOST_DUE:
                return
