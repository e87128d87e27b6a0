"""What the agent remembers of machines on which runs died: the next run of the same job here keeps off them.

In memory only: an agent that begins anew knows of none, and then the scheduler chooses freely.
"""

from __future__ import annotations

from collections.abc import Iterable

MOST_JOBS, MOST_MACHINES = 1000, 8
"""The jobs that were noted last, and of each the machines."""


class LeftMachines:
    """Job → machines that runs of it died on here, the last ones."""

    def __init__(self) -> None:
        """Nothing is remembered yet."""
        self._of: dict[str, tuple[str, ...]] = {}

    def note(self, uid: str, machines: Iterable[str]) -> None:
        """Remember machines that a run of a job died on."""
        new = sorted(machines)
        if not new:
            return
        known = [one for one in self._of.pop(uid, ()) if one not in new]
        self._of[uid] = (*known, *new)[-MOST_MACHINES:]
        while len(self._of) > MOST_JOBS:
            del self._of[next(iter(self._of))]

    def of(self, uid: str) -> tuple[str, ...]:
        """Return the machines that the next run of a job keeps off."""
        return self._of.get(uid, ())
