"""The transparency log of receipts: their digests, in the order in which the ledger took them.

A digest tells a stranger nothing, and who holds the receipt can show that it was logged. What a crash
kept from the log is appended again: an entry that is there already keeps its place.
"""

from __future__ import annotations

from hansa.ledger.receipts.evidence import Evidence, Place
from hansa.ports import Clock
from hansa.receipts.bundle import log_entry
from hansa.translog.checkpoint import Checkpoint
from hansa.translog.log.appender import Appender
from hansa.translog.proof import LogProof

AT_ONCE = 1000
BACK_MS = 60_000
"""So far back a pass looks again: writers of one database do not commit in the order of their clocks."""


class Logbook:
    """Appends what evidence there is. For one caller at a time."""

    def __init__(self, appender: Appender, clock: Clock) -> None:
        """``appender``: the log's one writer."""
        self._appender = appender
        self._clock = clock
        self._up_to = Place(0)

    def catch_up(self, evidence: Evidence) -> None:
        """Append and publish all that is not logged yet; raises ``Retryable`` where it cannot be written."""
        while True:
            rows = evidence.after(self._up_to, AT_ONCE)
            self._appender.append([log_entry(digest) for _, digest in rows])
            self._appender.checkpoint(self._clock)
            if not rows:
                break
            self._up_to = rows[-1][0]
        # A clock that was put back records behind what was logged last.
        newest_ms = min(self._up_to.recorded_ms, int(self._clock.now() * 1000))
        self._up_to = Place(max(0, newest_ms - BACK_MS))

    def head(self) -> Checkpoint:
        """Return what the newest checkpoint says; raises ``Terminal`` where there is none yet."""
        return Checkpoint.parse(self._appender.head.text)

    def prove(self, digest: str) -> LogProof:
        """Return the proof that a receipt is logged and witnessed; raises as ``Appender.prove``."""
        return self._appender.prove(log_entry(digest))
