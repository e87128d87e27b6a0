"""What the planner last said of each job, until it is carried out or does not count any more."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

from hansa.adapters.turns import in_turns
from hansa.model.plan import Placement, Plan, Stop, Waiting
from hansa.model.reasons import Reason
from hansa.placement.explain.waitlist import reasons_of
from hansa.reconcile.hub.job_case import JobDecision

MOST_IN_A_TURN = 1000
Told = tuple[str, bool]
"""A job, and whether it is placed."""


class Decisions:
    """Decisions by the job's uid, and the GPU class that each was last placed for."""

    def __init__(self) -> None:
        """Nothing is decided."""
        self._of: dict[str, Placement | Stop] = {}
        """They go before what the queue says."""
        self._queue: Sequence[Waiting] = ()
        self._places: dict[str, int] = {}
        self._reasons: dict[str, Reason] = {}
        """Job → its place in the queue, and what it waits for. The rest is read when asked for: a record
        a job, made anew with every plan, is what garbage collections are longest about."""
        self._stops: dict[str, Stop] = {}
        """Those that may be among them; jobs are many and stops are few."""
        self._classes: dict[str, str] = {}

    def get(self, uid: str) -> JobDecision:
        """Return what was last decided for a job."""
        booked = self._of.get(uid)
        if booked is not None or uid not in self._places:
            return booked
        return self._queue[self._places[uid]]

    def gpu_class(self, uid: str) -> str:
        """Return what a job was last placed for; a grant does not say it."""
        return self._classes.get(uid, "")

    def drop(self, uid: str) -> None:
        """Decide anew for a job."""
        for kept in (self._of, self._places, self._reasons):
            kept.pop(uid, None)

    def forget(self, uid: str) -> None:
        """Let go of a job that is not planned any more."""
        self.drop(uid)
        self._classes.pop(uid, None)

    def clear(self) -> None:
        """Forget everything: another replica may have acted since."""
        for kept in (self._of, self._places, self._reasons, self._stops, self._classes):
            kept.clear()
        self._queue = ()

    def withdraw(self, waits: Callable[[str], object]) -> list[str]:
        """Drop stops in whose favour nothing waits any more; return whose they were."""
        self._stops = {uid: said for uid, said in self._stops.items() if self._of.get(uid) is said}
        dropped = [
            uid
            for uid, said in self._stops.items()
            if said.in_favour_of and not waits(said.in_favour_of)
        ]
        for uid in dropped:
            self.drop(uid)
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
        self, waiting: Sequence[Waiting], counts: Callable[[str], bool]
    ) -> list[Told]:
        """Note why jobs wait; return those that wait for another reason than before.

        ``counts``: whether a job is still to be planned.
        """
        told, before = list[Told](), self._reasons
        self._queue, self._places, self._reasons = waiting, {}, {}
        async for place, (uid, reason) in in_turns(enumerate(reasons_of(waiting)), MOST_IN_A_TURN):
            if counts(uid):
                booked = self._of.pop(uid, None)
                self._places[uid], self._reasons[uid] = place, reason
                if booked is not None or before.get(uid) is not reason:
                    told.append((uid, False))
        return told
