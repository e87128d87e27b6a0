"""When the hub last heard of this member, on two clocks, and how long it did not before that.

The moment a successful renewal was *sent* counts: the hub cannot have heard of us later than it
thinks. Both clocks are asked and the larger age wins, so neither a clock that is set back nor a
machine that slept can keep an unattended job alive. A contact that an earlier process made is read
from a Lease of our own; where there is none, or one of the future, there was no contact.

A silence does not count less because it is over: while it lasted, the hub may have given work away.
It counts for no grant that was taken after it: otherwise one silence of a clock that ran ahead would
end, as soon as it began, all that is granted until the right time has caught up.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import TypeAlias

from hansa.ports import Clock

LEAST_SILENCE_S = 30.0
"""No contract ends within so short a silence."""
MOST_SILENCES = 256
Moment: TypeAlias = tuple[float, float]
"""Wall time and monotonic time, read together."""


@dataclass(frozen=True, slots=True)
class _Silence:
    end_s: float
    """Wall time at which it ended, by its beginning and its length."""
    length_s: float
    moment: Moment
    """When it ended, on both clocks."""


class Contact:
    """The age of the last word with the hub."""

    def __init__(self, clock: Clock, *, last_s: float | None, skew_s: float = 60.0) -> None:
        """``last_s``: the last contact an earlier process made; ``skew_s``: most it may be ahead."""
        self._clock = clock
        usable = last_s is not None and last_s <= clock.now() + skew_s
        self.last_s: float | None = last_s if usable else None
        """Wall time of the last contact; None before the first."""
        self._monotonic = clock.monotonic()
        self._silences: deque[_Silence] = deque(maxlen=MOST_SILENCES)

    def moment(self) -> Moment:
        """Return the present on both clocks, to be given to ``made`` if the call succeeds."""
        return self._clock.now(), self._clock.monotonic()

    def made(self, sent: Moment) -> None:
        """Note that the hub answered what was sent at that moment."""
        silence = self._silence(sent)
        if silence.length_s > LEAST_SILENCE_S:
            self._silences.append(silence)
        self.last_s, self._monotonic = sent

    @property
    def age_s(self) -> float:
        """Seconds without contact, by the clock that says more; infinite before the first."""
        return self._silence(self.moment()).length_s

    def unattended_s(self, granted_s: float, taken: Moment | None = None) -> float:
        """Return the longest silence since a grant, which is a word of the hub as well.

        ``granted_s``: what the grant says; ``taken``: when this process took it, where it did.
        """
        silences = (*self._silences, self._silence(self.moment()))
        if taken is None:
            return max(0.0, *(min(s.length_s, s.end_s - granted_s) for s in silences))
        after = [
            min(s.length_s, max(s.moment[0] - taken[0], s.moment[1] - taken[1]))
            for s in silences
            if s.moment[1] >= taken[1]
        ]
        return max([0.0, *after])

    def _silence(self, moment: Moment) -> _Silence:
        """Return the silence up to a moment. Its end follows from its length: clocks are set back."""
        if self.last_s is None:
            return _Silence(moment[0], math.inf, moment)
        length_s = max(0.0, moment[0] - self.last_s, moment[1] - self._monotonic)
        return _Silence(self.last_s + length_s, length_s, moment)
