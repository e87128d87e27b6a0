"""What the owner of a job asks for who follows its log: from which byte of which run, and until when.

It travels as one annotation, from the job to the grant to the member. It grants nothing: whether anything is
sent is the member's law. It runs out soon, so that nobody has to take it back.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from hansa.model.times import from_rfc3339, rfc3339

LONGEST_S = 900
"""A request that would stand for longer is none."""
_FORM = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ) epoch=([1-9]\d{0,8}) from=(\d{1,15})")


@dataclass(frozen=True, slots=True)
class LogRequest:
    """A request that stands."""

    until_s: float
    epoch: int
    start: int
    """First byte that is wanted."""

    def __str__(self) -> str:
        """Return it as an annotation has it.

        >>> str(LogRequest(0.0, 2, 4096))
        '1970-01-01T00:00:00Z epoch=2 from=4096'
        """
        return f"{rfc3339(self.until_s)} epoch={self.epoch} from={self.start}"


def read_log_request(text: object, now_s: float, skew_s: float = 0.0) -> LogRequest | None:
    """Return the request that an annotation holds; None: it holds none, or none that stands now.

    ``skew_s``: how much the clock that it was written by may differ.
    """
    form = _FORM.fullmatch(text) if isinstance(text, str) else None
    until_s = from_rfc3339(form[1]) if form else None
    if form is None or until_s is None or not -skew_s < until_s - now_s <= LONGEST_S + skew_s:
        return None
    return LogRequest(until_s, int(form[2]), int(form[3]))
