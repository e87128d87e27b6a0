"""What comes next in one audit: ask somebody, wait, or close it.

Auditors are asked one after the other, in the order of the draw, and the next one only when the one before has answered
or cannot. What keeps an auditor from running the work says nothing about the provider. Where nobody else may have the
data the provider is asked at last: that it can repeat its result is all that this shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hansa.verification.auditors import Independence
from hansa.verification.comparison import Comparator, Match, Outcome, compare
from hansa.verification.verdict import Decision, Rerun, Verdict, decide

MOST_ASKED = 12
"""Nodes that are asked for one audit, those that could not run it included."""


@dataclass(frozen=True, slots=True)
class Auditor:
    """A node that may be asked."""

    node: str
    institution: str


@dataclass(frozen=True, slots=True)
class Reply:
    """What became of asking one auditor."""

    auditor: Auditor
    is_open: bool = False
    outcome: Outcome | None = None
    """None once it is no longer open: it did not run it."""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Audit:
    """One audit so far."""

    provider: Auditor
    claimed: Outcome
    ranking: Sequence[Auditor]
    """Independent auditors in the order of the draw."""
    replies: Sequence[Reply] = ()
    """In the order in which they were asked."""
    comparator: Comparator | None = None
    lost: str = ""
    """Why there is nothing to run again, where its member says so itself; empty: there is."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Have a node run it again."""

    auditor: Auditor


@dataclass(frozen=True, slots=True)
class Wait:
    """Somebody was asked and has not answered."""


@dataclass(frozen=True, slots=True)
class Close:
    """Nothing more is asked."""

    decision: Decision
    independence: Independence


Step = Ask | Wait | Close


def next_step(audit: Audit) -> Step:
    """Return what to do next, by what is known so far."""
    if audit.lost:
        return Close(Decision(Verdict.LOST, audit.lost), Independence.NONE)
    if any(reply.is_open for reply in audit.replies):
        return Wait()
    others = [reply for reply in audit.replies if reply.auditor != audit.provider]
    reruns = [
        Rerun(reply.auditor.node, reply.auditor.institution, reply.outcome)
        for reply in others
        if reply.outcome is not None
    ]
    decision = decide(audit.claimed, reruns, audit.comparator)
    if decision.verdict is not Verdict.OPEN:
        return Close(decision, Independence.INDEPENDENT)
    after = _next(audit, others)
    if after is not None:
        return Ask(after)
    if reruns:
        text = f"{decision.why}, and nobody is left to ask"
        return Close(Decision(Verdict.INCONCLUSIVE, text), Independence.INDEPENDENT)
    return _by_itself(audit)


def _next(audit: Audit, others: Sequence[Reply]) -> Auditor | None:
    """Return the next auditor: of an institution that has not answered yet."""
    asked = {reply.auditor.node for reply in others}
    heard = {reply.auditor.institution for reply in others if reply.outcome is not None}
    if len(others) >= MOST_ASKED:
        return None
    return next(
        (one for one in audit.ranking if one.node not in asked and one.institution not in heard),
        None,
    )


def _by_itself(audit: Audit) -> Step:
    own = next((reply for reply in audit.replies if reply.auditor == audit.provider), None)
    if own is None:
        return Ask(audit.provider)
    if own.outcome is None:
        why = own.why or "it did not run it"
        text = f"nobody could run it again, the provider included: {why}"
        return Close(Decision(Verdict.INCONCLUSIVE, text), Independence.NONE)
    found = compare(audit.claimed, own.outcome, audit.comparator)
    if found.match is Match.EQUAL:
        text = "the provider itself got the same; nobody else could run it"
        return Close(Decision(Verdict.PASSED, text), Independence.SELF)
    text = f"the provider itself got something else, and nobody else could run it: {found.why}"
    return Close(Decision(Verdict.INCONCLUSIVE, text), Independence.SELF)
