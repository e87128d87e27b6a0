"""What the planner last said of each job, until it is carried out or does not count any more."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator

from hansa.adapters.turns import in_turns
from hansa.model.plan import Placement, Plan, Stop, Waiting
from hansa.reconcile.hub.job_case import JobDecision

MOST_IN_A_TURN = 1000
Told = tuple[str, bool]
"""A job, and whether it is placed."""


class Decisions:
    """Decisions by the job's uid, and the GPU class that each was last placed for."""

    def __init__(self) -> None:
        """Nothing is decided."""
        self._of: dict[str, JobDecision] = {}
        self._stops: dict[str, Stop] = {}
        """Those that may be among them; jobs are many and stops are few."""
        self._classes: dict[str, str] = {}

    def get(self, uid: str) -> JobDecision:
        """Return what was last decided for a job."""
        return self._of.get(uid)

    def gpu_class(self, uid: str) -> str:
        """Return what a job was last placed for; a grant does not say it."""
        return self._classes.get(uid, "")

    def drop(self, uid: str) -> None:
        """Decide anew for a job."""
        self._of.pop(uid, None)

    def forget(self, uid: str) -> None:
        """Let go of a job that is not planned any more."""
        self.drop(uid)
        self._classes.pop(uid, None)

    def clear(self) -> None:
        """Forget everything: another replica may have acted since."""
        self._of.clear()
        self._stops.clear()
        self._classes.clear()

    def withdraw(self, waits: Callable[[str], object]) -> list[str]:
        """Drop stops in whose favour nothing waits any more; return whose they were."""
        self._stops = {uid: said for uid, said in self._stops.items() if self._of.get(uid) is said}
        dropped = [
            uid
            for uid, said in self._stops.items()
            if said.in_favour_of and not waits(said.in_favour_of)
        ]
        for uid in dropped:
            del self._of[uid]
        return dropped

    def take(self, plan: Plan, outdated: Collection[str]) -> Iterator[Told]:
        """Note what was booked, and yield whom it concerns.

        ``outdated``: who changed while it was planned. Nothing that was decided of another spec, or of
        a job that is gone, is carried out.
        """
        decided: tuple[Placement | Stop, ...] = (*plan.stops, *plan.placements)
        for booked in decided:
            if booked.job_uid not in outdated:
                if isinstance(booked, Placement):
                    self._classes[booked.job_uid] = booked.gpu_class
                else:
                    self._stops[booked.job_uid] = booked
                self._of[booked.job_uid] = booked
                yield booked.job_uid, isinstance(booked, Placement)

    async def take_waiting(
        self, waiting: Iterable[Waiting], counts: Callable[[str], bool]
    ) -> list[Told]:
        """Note why jobs wait; return those that wait for another reason than before.

        ``counts``: whether a job is still to be planned.
        """
        told: list[Told] = []
        async for said in in_turns(waiting, MOST_IN_A_TURN):
            if counts(said.job_uid):
                before, self._of[said.job_uid] = self._of.get(said.job_uid), said
                if not isinstance(before, Waiting) or before.reason is not said.reason:
                    told.append((said.job_uid, False))
        return told
