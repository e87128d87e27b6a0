"""Fine-tuning: run one random segment between two committed checkpoints again, and halve a dispute to one step.

A provider commits the digest of its state at step 0, and after each segment, before it knows which segment will be
looked at. Refereed delegation as in Verde (arXiv 2502.19405): if the two states at the end of a segment differ, both
parties say the digests of the steps between, and halving finds the first step on which they differ while they agree
on where it began. The referee runs that step alone. One honest party is enough; poisoned data before step 0 is not
seen.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Trail:
    """The states a provider committed: step → digest of the state before that step, in order, from step 0.

    Raises:
        ValueError: fewer than two states, digests that are no match for the steps, or steps that do not rise from 0.
    """

    steps: tuple[int, ...]
    digests: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.steps) <= 1 or len(self.steps) != len(self.digests):
            raise ValueError(
                f"trail: {len(self.steps)} steps and {len(self.digests)} digests; commit the state"
                " at the beginning and after each segment"
            )
        rises = all(a < b for a, b in zip(self.steps, self.steps[1:], strict=False))
        if self.steps[0] != 0 or not rises:
            raise ValueError("trail: steps have to rise from 0")


@dataclass(frozen=True, slots=True)
class Segment:
    """What an auditor runs again: from the state before ``first`` to the one before ``last``."""

    first: int
    last: int
    from_digest: str
    to_digest: str


def segment(trail: Trail, ticket: int) -> Segment:
    """Return the segment that the ticket draws, each step being as likely to be looked at as any other."""
    drawn = hashlib.sha256(b"hansa/segment/v1\0" + ticket.to_bytes(32, "big")).digest()
    at = int.from_bytes(drawn, "big") % trail.steps[-1]
    index = next(i for i, last in enumerate(trail.steps[1:]) if at < last)
    return Segment(
        trail.steps[index],
        trail.steps[index + 1],
        trail.digests[index],
        trail.digests[index + 1],
    )


class Party(StrEnum):
    """The two sides of a dispute."""

    PROVIDER = "Provider"
    AUDITOR = "Auditor"


@dataclass(frozen=True, slots=True)
class Dispute:
    """Halving between a step on which both agree and one on which they do not."""

    agreed: int
    disputed: int
    agreed_digest: str
    provider_digest: str
    auditor_digest: str
    rounds: int = 0
    silent: Party | None = None
    """Who did not answer in time, which ends the dispute against it."""

    @property
    def question(self) -> int | None:
        """The step whose state both have to say next; None: one step is left, or somebody was silent."""
        if self.silent is not None or self.disputed - self.agreed <= 1:
            return None
        return (self.agreed + self.disputed) // 2

    @property
    def step(self) -> int | None:
        """The one step that the referee runs, from the agreed state; None while there are more."""
        done = self.silent is None and self.question is None
        return self.agreed if done else None


def dispute(audited: Segment, found_digest: str) -> Dispute:
    """Open a dispute about a segment whose end came out as ``found_digest``.

    Raises:
        ValueError: the two are the same: there is nothing to dispute.
    """
    if found_digest == audited.to_digest:
        raise ValueError("dispute: the auditor found the digest that the provider committed")
    return Dispute(
        audited.first, audited.last, audited.from_digest, audited.to_digest, found_digest
    )


def answer(case: Dispute, provider: str | None, auditor: str | None) -> Dispute:
    """Take both parties' digests at ``case.question``; None: not said within the time they had.

    Of two silent parties the provider counts as silent: it has to show what it is paid for.

    Raises:
        ValueError: nothing was asked.
    """
    middle = case.question
    if middle is None:
        raise ValueError("dispute: it is decided, nothing is asked")
    if provider is None or auditor is None:
        silent = Party.PROVIDER if provider is None else Party.AUDITOR
        return replace(case, silent=silent, rounds=case.rounds + 1)
    if provider == auditor:
        return replace(case, agreed=middle, agreed_digest=provider, rounds=case.rounds + 1)
    return replace(
        case,
        disputed=middle,
        provider_digest=provider,
        auditor_digest=auditor,
        rounds=case.rounds + 1,
    )


def loser(case: Dispute, referee_digest: str) -> tuple[Party, ...]:
    """Return who said the wrong digest of the one step that the referee ran; both, if neither was right.

    Raises:
        ValueError: more than one step is left.
    """
    if case.silent is not None:
        return (case.silent,)
    if case.step is None:
        raise ValueError("dispute: not narrowed down to one step yet")
    said = {Party.PROVIDER: case.provider_digest, Party.AUDITOR: case.auditor_digest}
    return tuple(party for party, digest in said.items() if digest != referee_digest)
