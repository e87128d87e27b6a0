"""What a member remembers of epochs, so that an old or copied grant can never run again.

A record is kept as one short line in a ConfigMap, because it must outlive the agent. It may be
dropped once no grant of that age can be valid any more.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """What became of an epoch here."""

    ACCEPTED = "A"
    REFUSED = "R"
    ENDED = "E"
    """Must not run any more. Written before its namespace is deleted; released when that is gone."""


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """The highest epoch seen of one job."""

    epoch: int
    digest: str
    """First 16 hex digits of the digest of the whole signed grant."""
    outcome: Outcome
    keep_until_s: int
    reason: str = "-"
    """Why it was refused or ended, as one word."""

    def line(self) -> str:
        """Return the record as text.

        >>> EpochRecord(2, "ab12", Outcome.ENDED, 99, "Cancelled").line()
        '2 ab12 E 99 Cancelled'
        """
        return f"{self.epoch} {self.digest} {self.outcome} {self.keep_until_s} {self.reason}"

    @staticmethod
    def parse(line: str) -> EpochRecord | None:
        """Return the record in ``line``, or None when a person or a disk has spoilt it."""
        try:
            epoch, digest, outcome, keep_until, reason = line.split()
            return EpochRecord(int(epoch), digest, Outcome(outcome), int(keep_until), reason)
        except ValueError:
            return None


def stale(seen: EpochRecord | None, epoch: int, digest: str) -> str:
    """Return why a grant comes too late in its job's history, or nothing when it does not."""
    if seen is None or epoch > seen.epoch:
        return ""
    if epoch < seen.epoch:
        return f"epoch {epoch} is older than epoch {seen.epoch}, which was seen here"
    if digest != seen.digest:
        return f"another grant was seen for epoch {epoch}; a new proposal needs a new epoch"
    if seen.outcome is Outcome.ACCEPTED:
        return ""
    done = "refused" if seen.outcome is Outcome.REFUSED else "ended"
    return (
        f"epoch {epoch} was {done} here already ({seen.reason}); a new proposal needs a new epoch"
    )
