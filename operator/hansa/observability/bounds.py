"""Keeps label values few, whatever members write into their statuses."""

from __future__ import annotations

OTHER = "Other"
MAX_REASONS = 200


class ReasonGuard:
    """Bounds the values of the label ``reason``: some are a member's word, and a member may lie.

    A hostile member could otherwise fill Prometheus with a reason a grant.
    """

    def __init__(self, limit: int = MAX_REASONS) -> None:
        """``limit``: distinct values kept; all later ones are "Other"."""
        self._limit = limit
        self._seen: set[str] = set()

    def bound(self, reason: str) -> str:
        """Return the reason, or "Other" when there are too many already."""
        if reason not in self._seen:
            if len(self._seen) >= self._limit:
                return OTHER
            self._seen.add(reason)
        return reason
