"""How old the last contact with the hub is, as the guard sees the Lease in which the agent keeps it.

Three clocks are asked and the one that says more counts: this machine's, the API server's, and a
monotonic one that runs since the value was first seen here.
"""

from __future__ import annotations

import math

from hansa.ports import Clock


class ContactWatch:
    """The age of the last contact, from what was read of it pass by pass."""

    def __init__(self, clock: Clock, *, skew_s: float, grace_s: float) -> None:
        """``skew_s``: most a contact may lie ahead; ``grace_s``: for a Lease never yet seen."""
        self._clock = clock
        self._skew_s = skew_s
        self._grace_s = grace_s
        self._began = clock.monotonic()
        self._changed = clock.monotonic()
        self.last_s: float | None = None
        """The last contact that counts, in seconds since the Unix epoch; None before the first."""
        self._read: float | None = None

    def seen(self, contact_s: float | None, now_s: float) -> None:
        """Take in what the Lease says now; one that is missing, to come or older is no contact.

        An older one counts where it is news and what was believed before lies ahead: then clocks had
        run ahead together, and no contact would count until the right time has caught up.
        """
        if contact_s is None or contact_s > now_s + self._skew_s:
            return
        is_news, self._read = contact_s != self._read, contact_s
        ran_ahead = self.last_s is not None and self.last_s > now_s + self._skew_s
        if self.last_s is None or contact_s > self.last_s or (is_news and ran_ahead):
            self.last_s, self._changed = contact_s, self._clock.monotonic()

    def age_s(self, now_s: float) -> float:
        """Return the age; infinite where there is no contact that counts, after the grace."""
        steady = self._clock.monotonic()
        if self.last_s is None:
            return 0.0 if steady - self._began < self._grace_s else math.inf
        return max(0.0, now_s - self.last_s, steady - self._changed)
