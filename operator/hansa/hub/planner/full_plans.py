"""When everything is planned anew: now and then, for a bounded share of a core however long it takes."""

from __future__ import annotations

EVERY_S = 1.0
SHARE = 0.05
"""The least time between two full plans, and the most of a core that they may take."""
AGAIN_S = 60.0
"""In a league where nothing happens: a running job may be stopped for a waiting one once it has run
long enough."""


class FullPlans:
    """When the last full plan was, and when the next may be. Times are monotonic, in seconds."""

    def __init__(self) -> None:
        """None was made, and one is due."""
        self.is_stale = True
        """Whether something has happened since that only a full plan takes in."""
        self.from_s = float("-inf")
        """When the next may be made."""
        self._began_s = float("-inf")
        self._took_s = 0.0

    def is_outdated(self, now_s: float) -> bool:
        """Tell whether the last is so old that time alone may have changed what it would say."""
        return now_s - self._began_s >= AGAIN_S

    def note(self, began_s: float, took_s: float) -> None:
        """Note one that was made.

        A plan that takes long once was held up: two in a row tell what plans take.
        """
        usual_s, self._took_s = min(took_s, self._took_s), took_s
        self._began_s = began_s
        self.from_s = began_s + max(EVERY_S, usual_s / SHARE)
