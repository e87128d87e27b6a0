"""The transparency log of receipts: their digests, in the order in which the ledger took them.

A digest tells a stranger nothing, and who holds the receipt can show that it was logged. What a crash
kept from the log is appended again: an entry that is there already keeps its place.
"""

from __future__ import annotations

from hansa.ledger.lookback import BACK_MS
from hansa.ledger.receipts.evidence import Evidence, Place
from hansa.ports import Clock
from hansa.receipts.bundle import log_entry
from hansa.translog.checkpoint import Checkpoint
from hansa.translog.log.appender import Appender
from hansa.translog.note import Note
from hansa.translog.proof import LogProof

AT_ONCE = 1000


class Logbook:
    """Appends what evidence there is. For one caller at a time."""

    def __init__(self, appender: Appender, clock: Clock, *, identity: str = "") -> None:
        """``appender``: the log's one writer. ``identity``: of its files; empty: they are nobody else's anyway."""
        self._appender = appender
        self._identity = identity
        self._clock = clock
        self._up_to = Place(0)
        self._logged: dict[str, int] = {}
        """Digest → when it was recorded, of those that are logged and not recorded long before the last one."""

    def claim(self, evidence: Evidence) -> None:
        """Make these files the log of the books, before the first signature; raises as ``Evidence.claim_log``."""
        if self._identity:
            now_ms = int(self._clock.now() * 1000)
            evidence.claim_log(self._appender.origin, self._identity, now_ms)

    def catch_up(self, evidence: Evidence) -> None:
        """Append and publish all that is not logged yet; raises ``Retryable`` where it cannot be written."""
        place = self._from(evidence)
        while True:
            rows = evidence.after(place, AT_ONCE)
            new = [digest for _, digest in rows if digest not in self._logged]
            self._appender.append(list(map(log_entry, new)))
            self._appender.checkpoint(self._clock)
            if not rows:
                break
            self._logged |= {digest: at.recorded_ms for at, digest in rows}
            place = rows[-1][0]
            self._up_to = max(self._up_to, place)
            self._forget(self._up_to.recorded_ms - BACK_MS)

    def _from(self, evidence: Evidence) -> Place:
        """Return behind which place to look: the last one, or a while back where more stands there than is logged.

        Rows are never deleted, so where there are as many they are the same.
        """
        # A clock that was put back records behind what was logged last.
        newest_ms = min(self._up_to.recorded_ms, int(self._clock.now() * 1000))
        back = Place(max(0, newest_ms - BACK_MS))
        self._forget(back.recorded_ms)
        is_all = evidence.count(back, self._up_to) == len(self._logged)
        return self._up_to if is_all else back

    def _forget(self, before_ms: int) -> None:
        self._logged = {name: at_ms for name, at_ms in self._logged.items() if at_ms >= before_ms}

    def head(self) -> Checkpoint:
        """Return what the newest checkpoint says; raises ``Terminal`` where there is none yet."""
        return Checkpoint.parse(self._appender.head.text)

    @property
    def origin(self) -> str:
        """The log's name."""
        return self._appender.origin

    def unwitnessed(self) -> Note | None:
        """Return the newest checkpoint where the policy asks for more cosignatures than it has."""
        return self._appender.unwitnessed()

    def turned_back(self, note: Note) -> str:
        """Return what is wrong where a witness holds more of this log, by its own signature, than there is."""
        return self._appender.turned_back(note)

    def request(self, old_size: int, of: Note) -> str:
        """Return what to ask a witness; raises as ``Appender.request``."""
        return self._appender.request(old_size, of).encode().decode()

    def cosign(self, lines: str, of: Note) -> bool:
        """Publish signature lines of a witness; tell whether the policy is met. Raises as ``Appender.cosign``."""
        return not self._appender.cosign(lines, of).missing

    def prove(self, digest: str) -> LogProof:
        """Return the proof that a receipt is logged and witnessed; raises as ``Appender.prove``."""
        return self._appender.prove(log_entry(digest))
