"""Who runs a sampled run again: somebody independent whom the law of the data allows, by the ticket's draw.

Rendezvous hashing on the ticket ranks the candidates, so nobody picks them, everybody can repeat the choice, and a
candidate that comes or goes moves no other's rank. Independent means another institution, another owner group, and
not the payer: with the payer as auditor, payer and provider could agree on anything. Where the data may be nowhere
else the provider runs the work again itself, and ``Independence.SELF`` says that this is all that was shown.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from hansa.verification.levels import Level


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
    """What it has shown itself; who has shown nothing has nothing to lose by lying and is asked last."""
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
        drawn = sorted(
            independent,
            key=lambda one: (
                one.level < Level.LOGGED,
                one.jurisdiction == provider.jurisdiction,
                _draw(ticket, one.node),
            ),
        )
        return Ranking(Independence.INDEPENDENT, tuple(one.node for one in drawn))
    if not provider.refused:
        return Ranking(Independence.SELF, (provider.node,))
    return Ranking(Independence.NONE, ())


def _draw(ticket: int, node: str) -> bytes:
    return hashlib.sha256(ticket.to_bytes(32, "big") + node.encode()).digest()
