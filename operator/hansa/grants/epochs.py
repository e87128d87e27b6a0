"""What a member remembers of epochs, so that an old or copied grant can never run again.

A record for each job and epoch, as one short line in a ConfigMap, because it must outlive the agent.
What is remembered only grows graver: accepted, begun or refused, then ended, never back. Memory is bounded:
where records have to go before their time, grants as old as they are count as seen (``floor_s``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from operator import attrgetter

NONE = "-"
BEGUN = "Begun"
"""Reason of an accepted epoch once its namespace was made: what is gone from then on is not made anew."""


class Outcome(StrEnum):
    """What became of an epoch here."""

    ACCEPTED = "A"
    REFUSED = "R"
    ENDED = "E"
    """Must not run any more. Written before its namespace is deleted; released when that is gone."""


_FINALITY = {Outcome.ACCEPTED: 0, Outcome.REFUSED: 2, Outcome.ENDED: 3}


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """One epoch of one job."""

    job_uid: str
    epoch: int
    digest: str
    """First 16 hex digits of the digest of the whole signed grant."""
    outcome: Outcome
    seen_s: int
    """When it was decided."""
    keep_until_s: int
    """No grant of its age, and no signature it used up, can be valid later."""
    reason: str = NONE
    """Why it was refused or ended, as one word; of an accepted epoch whether it has begun."""
    authorizations: tuple[str, ...] = ()
    """Data owners' signatures that its start used, by ``authorization.identity``."""

    @property
    def begun(self) -> bool:
        """Whether anything of an accepted run was made."""
        return self.outcome is Outcome.ACCEPTED and self.reason == BEGUN

    @property
    def key(self) -> str:
        """Name of the record's line.

        >>> EpochRecord("0f8c", 2, "ab12", Outcome.ENDED, 1, 99).key
        '0f8c.2'
        """
        return f"{self.job_uid}.{self.epoch}"

    def line(self) -> str:
        """Return the record as text.

        >>> EpochRecord("0f8c", 2, "ab12", Outcome.ENDED, 1, 99, "Cancelled").line()
        'ab12 E 1 99 Cancelled -'
        """
        used = ",".join(self.authorizations) or NONE
        return (
            f"{self.digest} {self.outcome} {self.seen_s} {self.keep_until_s} {self.reason} {used}"
        )

    @staticmethod
    def parse(key: str, line: object) -> EpochRecord | None:
        """Return the record in ``line``, or None when a person or a disk has spoilt it."""
        try:
            uid, epoch = key.rsplit(".", 1)
            digest, outcome, seen, keep_until, reason, used = str(line).split()
            return EpochRecord(
                uid, int(epoch), digest, Outcome(outcome), int(seen), int(keep_until), reason,
                () if used == NONE else tuple(used.split(",")),
            )  # fmt: skip
        except ValueError:
            return None


def graver(one: EpochRecord, other: EpochRecord) -> EpochRecord:
    """Return which of two records of the same epoch stands: the more final, else the first."""
    return other if _finality(other) > _finality(one) else one


def _finality(record: EpochRecord) -> int:
    return _FINALITY[record.outcome] + record.begun


@dataclass(frozen=True, slots=True)
class Seen:
    """What is remembered of one job when a grant for one of its epochs is judged."""

    record: EpochRecord | None = None
    """Of this very epoch."""
    highest: int = 0
    """Highest epoch of the job seen here."""
    floor_s: int = 0
    """Grants issued by then and not remembered may have been seen and forgotten."""


def stale(seen: Seen, epoch: int, digest: str, issued_s: float) -> str:
    """Return why a grant comes too late in its job's history, or nothing when it does not."""
    if epoch < seen.highest:
        return f"epoch {epoch} is older than epoch {seen.highest}, which was seen here"
    record = seen.record
    if record is None:
        if issued_s <= seen.floor_s:
            return (
                "the grant is as old as grants that this member had to forget; a new proposal needs"
                " a new epoch"
            )
        return ""
    if digest != record.digest:
        return f"another grant was seen for epoch {epoch}; a new proposal needs a new epoch"
    if record.outcome is Outcome.ACCEPTED:
        return ""
    done = "refused" if record.outcome is Outcome.REFUSED else "ended"
    return (
        f"epoch {epoch} was {done} here already ({record.reason}); a new proposal needs a new epoch"
    )


class Epochs:
    """All records of a member, by job. Pure; ``member/state/epoch_store`` keeps it on disk."""

    def __init__(self) -> None:
        """Begin empty."""
        self._of_job: defaultdict[str, dict[int, EpochRecord]] = defaultdict(dict)
        self.floor_s = 0

    def __iter__(self) -> Iterator[EpochRecord]:
        for records in self._of_job.values():
            yield from records.values()

    def get(self, job_uid: str, epoch: int) -> EpochRecord | None:
        """Return the record of one epoch."""
        return self._of_job[job_uid].get(epoch) if job_uid in self._of_job else None

    def of(self, job_uid: str) -> tuple[EpochRecord, ...]:
        """Return the records of a job, oldest epoch first."""
        records = self._of_job.get(job_uid, {})
        return tuple(records[epoch] for epoch in sorted(records))

    def highest(self, job_uid: str) -> EpochRecord | None:
        """Return the record of the highest epoch seen of a job."""
        records = self.of(job_uid)
        return records[-1] if records else None

    def seen(self, job_uid: str, epoch: int) -> Seen:
        """Return what a judgement of that epoch needs to know."""
        highest = self.highest(job_uid)
        return Seen(self.get(job_uid, epoch), highest.epoch if highest else 0, self.floor_s)

    def uses(self, authorization: str, *, but: str = "") -> int:
        """Return how many epochs here have used a data owner's signature; ``but`` not this key."""
        return sum(
            authorization in record.authorizations
            and record.outcome is not Outcome.REFUSED
            and record.key != but
            for record in self
        )

    def take(self, record: EpochRecord) -> EpochRecord:
        """Take a record in; returns what stands: memory never turns back."""
        known = self.get(record.job_uid, record.epoch)
        stands = record if known is None else graver(known, record)
        self._of_job[record.job_uid][record.epoch] = stands
        return stands

    def drop(self, records: Iterable[EpochRecord]) -> None:
        """Forget records."""
        for record in records:
            epochs = self._of_job[record.job_uid]
            epochs.pop(record.epoch, None)
            if not epochs:
                del self._of_job[record.job_uid]

    def expired(self, now_s: float, is_live: Callable[[EpochRecord], bool]) -> list[EpochRecord]:
        """Return records that no valid grant can refer to any more."""
        return [r for r in self if r.keep_until_s < now_s and not is_live(r)]

    def surplus(
        self,
        most: int,
        is_mine: Callable[[EpochRecord], bool],
        is_live: Callable[[EpochRecord], bool],
    ) -> list[EpochRecord]:
        """Return what has to go, oldest first, for at most ``most`` of those that are mine to stay.

        A tenth more goes than must, so that a flood does not pay a write for each grant.
        """
        mine = [record for record in self if is_mine(record)]
        if len(mine) <= most:
            return []
        ended = sorted((r for r in mine if not is_live(r)), key=attrgetter("seen_s", "key"))
        return ended[: len(mine) - most + most // 10]
