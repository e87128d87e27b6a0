"""When the hub last heard of this member, on two clocks.

The moment a successful renewal was *sent* counts: the hub cannot have heard of us later than it
thinks. Both clocks are asked and the larger age wins, so neither a clock that is set back nor a
machine that slept can keep an unattended job alive.
"""

from __future__ import annotations

from hansa.ports import Clock


class Contact:
    """The age of the last word with the hub."""

    def __init__(self, clock: Clock, *, last_s: float | None = None) -> None:
        """``last_s``: the last contact an earlier process saw; None: this member is new."""
        self._clock = clock
        self._wall = clock.now() if last_s is None else min(last_s, clock.now())
        self._monotonic = clock.monotonic()
        self.last_s: float | None = last_s
        """Wall time of the last contact; None before the first."""

    def moment(self) -> tuple[float, float]:
        """Return the present on both clocks, to be given to ``made`` if the call succeeds."""
        return self._clock.now(), self._clock.monotonic()

    def made(self, sent: tuple[float, float]) -> None:
        """Note that the hub answered what was sent at that moment."""
        self._wall, self._monotonic = sent
        self.last_s = sent[0]

    @property
    def age_s(self) -> float:
        """Seconds without contact, by the clock that says more."""
        by_wall = self._clock.now() - self._wall
        return max(0.0, by_wall, self._clock.monotonic() - self._monotonic)
