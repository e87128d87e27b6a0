"""Who runs a sampled run again: somebody independent whom the law of the data allows, by the ticket's draw.

Rendezvous hashing on the ticket ranks owner groups, and the nodes of each, so nobody picks them, everybody can repeat the
choice, and nobody is asked more often for having more nodes. One auditor is enough to find work right, so whatever is
preferred has to leave a choice: a friend that is the only node abroad would be asked about everything. Independent means another institution, another owner group, and
not the payer: with the payer as auditor, payer and provider could agree on anything. Where the data may be nowhere
else the provider runs the work again itself, and ``Independence.SELF`` says that this is all that was shown.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby

from hansa.verification.levels import Level

LEAST_CHOICE = 3
"""Owner groups among which the ticket draws who is asked first, where there are so many. One friend among three is asked
once in three times, which the probability of an audit allows for: see ``probability``."""


class Independence(StrEnum):
    """How independent of the provider an auditor is. The strings are API."""

    INDEPENDENT = "Independent"
    SELF = "Self"
    NONE = "None"
    """Nobody can run it again: not even the provider may."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A node that might audit one run."""

    node: str
    institution: str
    owner_group: str
    """Whoever controls the institution in the end; the institution itself where nobody does."""
    jurisdiction: str
    level: Level
    """What it has shown itself; who has shown nothing has nothing to lose by lying and is asked later."""
    refused: str = ""
    """Why the planner's rules keep this run from the node (law of the data, hardware class …); empty: they do not."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """The auditors of one run, in the order in which they are asked."""

    independence: Independence
    nodes: tuple[str, ...]


def rank(ticket: int, provider: Candidate, payer: str, candidates: Iterable[Candidate]) -> Ranking:
    """Return who audits a run: who has shown something before who has not, then another jurisdiction, then the draw.

    ``payer``: the institution charged for the run.
    """
    independent = [
        one
        for one in candidates
        if not one.refused
        and one.institution not in {provider.institution, payer}
        and one.owner_group not in {provider.owner_group, payer}
    ]
    if independent:
        ordered = (
            one.node for some in _choices(independent, provider) for one in _drawn(ticket, some)
        )
        return Ranking(Independence.INDEPENDENT, tuple(ordered))
    if not provider.refused:
        return Ranking(Independence.SELF, (provider.node,))
    return Ranking(Independence.NONE, ())


def _choices(independent: Iterable[Candidate], provider: Candidate) -> Iterator[list[Candidate]]:
    """Yield those who are preferred, then the others; where they are too few to choose from, together with the next."""

    def preference(one: Candidate) -> tuple[bool, bool]:
        return one.level < Level.LOGGED, one.jurisdiction == provider.jurisdiction

    some: list[Candidate] = []
    for _, more in groupby(sorted(independent, key=preference), preference):
        some += more
        if len({one.owner_group for one in some}) >= LEAST_CHOICE:
            yield some
            some = []
    yield some


def _drawn(ticket: int, some: Sequence[Candidate]) -> list[Candidate]:
    """Return nodes in the order of the draw: one of each owner group, then a second of those that have one."""
    before: Counter[str] = Counter()
    turns = {}
    for one in sorted(some, key=lambda one: _draw(ticket, one.node)):
        turns[one.node] = before[one.owner_group], _draw(ticket, one.owner_group)
        before[one.owner_group] += 1
    return sorted(some, key=lambda one: turns[one.node])


def _draw(ticket: int, name: str) -> bytes:
    return hashlib.sha256(ticket.to_bytes(32, "big") + name.encode()).digest()
