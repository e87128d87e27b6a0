"""When each job's status was last written, and whose figures or verdicts have moved since.

A look at a long queue is spread over several calls, and each over several turns of the event loop.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from functools import partial

from hansa.adapters.turns import in_turns
from hansa.model.plan import Verdict, Waiting
from hansa.reconcile.hub.job_view import JobView
from hansa.reconcile.hub.status import pacing

MOST_LOOKED_AT = 2000
MOST_DUE = 100
"""Bounds of one call."""
MOST_IN_A_TURN = 50
"""Looks in one turn of the loop: each may have to find verdicts, a third of a millisecond."""


class StatusPacing:
    """Times of the last status writes of this process; what it did not write counts as long ago."""

    def __init__(self) -> None:
        """Begin empty."""
        self._at_s: dict[str, float] = {}
        self._compared_s: dict[str, float] = {}
        """When verdicts were last found to be what the status says."""
        self._next = 0

    def note(self, uid: str, now_s: float) -> None:
        """Note that a job's status was written."""
        self._at_s[uid] = now_s

    def forget(self, uid: str) -> None:
        """Drop a job that waits no longer."""
        self._at_s.pop(uid, None)
        self._compared_s.pop(uid, None)

    def at_s(self, uid: str) -> float:
        """Return when a job's status was last written."""
        return self._at_s.get(uid, 0.0)

    async def due(
        self,
        queue: Sequence[Waiting],
        job_of: Callable[[str], JobView | None],
        verdicts_of: Callable[[str], Iterable[Verdict]],
        now_s: float,
        *,
        may_ask: Callable[[], bool] = lambda: True,
    ) -> AsyncIterator[str]:
        """Yield jobs whose status is to be written anew, going on where the last call ended.

        ``may_ask``: whether verdicts may be asked for; the look ends where they may not any more.
        """
        found, start = 0, self._next if self._next < len(queue) else 0
        self._next = start
        async for said in in_turns(queue[start : start + MOST_LOOKED_AT], MOST_IN_A_TURN):
            if found == MOST_DUE or not may_ask():
                return
            self._next += 1
            if now_s - self.at_s(said.job_uid) < pacing.LEAST_PAUSE_S:
                continue
            job = job_of(said.job_uid)
            if job is not None and self._is_due(job, said, verdicts_of, now_s):
                found += 1
                yield said.job_uid

    def _is_due(
        self,
        job: JobView,
        said: Waiting,
        verdicts_of: Callable[[str], Iterable[Verdict]],
        now_s: float,
    ) -> bool:
        uid = said.job_uid
        written_s = self.at_s(uid)
        if pacing.due(job.status, said, now_s=now_s, written_s=written_s):
            return True
        # Not at each look: what a node says takes a while to find, and mostly nothing has changed.
        compared_s = max(written_s, self._compared_s.get(uid, 0.0))
        if now_s - compared_s < pacing.VERDICTS_PAUSE_S:
            return False
        self._compared_s[uid] = now_s
        verdicts = partial(verdicts_of, uid)
        return pacing.due_verdicts(job.status, verdicts, now_s=now_s, written_s=written_s)
