"""The records of all waiting jobs as columns: each is made when it is read, for most never are."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import overload

from hansa.model.plan import Waiting
from hansa.model.reasons import Reason

Start = tuple[int | None, int | None]
"""At even odds, and at nine in ten."""
UNKNOWN: Start = (None, None)


@dataclass(frozen=True, slots=True, eq=False)
class Waitlist(Sequence[Waiting]):
    """Behaves like the tuple of its records."""

    unplanned: tuple[Waiting, ...]
    """Jobs that cannot be planned; the others follow, in order of rank."""
    uids: Sequence[str]
    said: Sequence[int]
    """Per job, its place in ``words``."""
    words: Sequence[tuple[Reason, str]]
    ahead: Sequence[int]
    """Jobs ahead of each in its pool."""
    starts: Mapping[int, Start]
    """Place in the columns → expected starts, where they are known."""
    retold: Mapping[int, Waiting] = field(default_factory=dict)
    """Place in the columns → the record that stands for it."""

    def __len__(self) -> int:
        return len(self.unplanned) + len(self.uids)

    @overload
    def __getitem__(self, index: int) -> Waiting: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Waiting, ...]: ...
    def __getitem__(self, index: int | slice) -> Waiting | tuple[Waiting, ...]:
        chosen = range(len(self))[index]
        return self._at(chosen) if isinstance(chosen, int) else tuple(map(self._at, chosen))

    def __iter__(self) -> Iterator[Waiting]:
        return map(self._at, range(len(self)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Waitlist | tuple):
            return NotImplemented
        return len(self) == len(other) and all(map(Waiting.__eq__, self, other))

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return repr(tuple(self))

    def _at(self, index: int) -> Waiting:
        place = index - len(self.unplanned)
        if place < 0:
            return self.unplanned[index]
        if place in self.retold:
            return self.retold[place]
        reason, message = self.words[self.said[place]]
        even, sure = self.starts.get(place, UNKNOWN)
        return Waiting(
            self.uids[place],
            reason,
            message,
            self.ahead[place],
            start_p50_s=even,
            start_p90_s=sure,
        )


def retell(
    waiting: Sequence[Waiting], tell: Callable[[Iterable[Waiting]], Iterable[Waiting]]
) -> Sequence[Waiting]:
    """The records with those told anew that expect a start; of a waitlist no others are made."""
    if not isinstance(waiting, Waitlist):
        return tuple(tell(waiting))
    before = len(waiting.unplanned)
    told = tell([waiting[before + place] for place in waiting.starts])
    return replace(waiting, retold=dict(zip(waiting.starts, told, strict=True)))


def reasons_of(waiting: Sequence[Waiting]) -> Iterator[tuple[str, Reason]]:
    """Each job and what it waits for, in order; of a waitlist no records are made."""
    if not isinstance(waiting, Waitlist):
        return ((said.job_uid, said.reason) for said in waiting)
    planned = (
        (uid, waiting.words[at][0]) for uid, at in zip(waiting.uids, waiting.said, strict=True)
    )
    return chain(((said.job_uid, said.reason) for said in waiting.unplanned), planned)


def about(waiting: Sequence[Waiting], uids: Collection[str]) -> Iterator[Waiting]:
    """The records of some jobs; of a waitlist no others are made."""
    if not isinstance(waiting, Waitlist):
        return (said for said in waiting if said.job_uid in uids)
    planned = (
        waiting[len(waiting.unplanned) + place]
        for place, uid in enumerate(waiting.uids)
        if uid in uids
    )
    return chain((said for said in waiting.unplanned if said.job_uid in uids), planned)
