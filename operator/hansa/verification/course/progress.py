"""What comes next in one audit: ask somebody, wait, or close it.

Auditors are asked one after the other, in the order of the draw, and the next one only when the one before has answered
or cannot. What keeps an auditor from running the work says nothing about the provider. Only where the law of the data
keeps the run from every independent node is the provider asked at last: that it can repeat its result is all that this
shows. That it fails again would show nothing, and it is not asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hansa.verification.auditors import Independence
from hansa.verification.comparison import Comparator, Match, Outcome, compare
from hansa.verification.segments import States, Stretch
from hansa.verification.verdict import Decision, Rerun, Verdict, decide

MOST_ASKED = 12
"""Nodes that are asked for one audit, those that could not run it included; not those that the law keeps it from."""
MOST_BARRED = 100
"""Nodes that the law keeps it from, until no more are asked."""
MOST_RUNS = 8
"""Times of the job's own limit that an audit may take: six in which a dispute gets smaller, and two that decide it. With
fewer a provider would only have to be slow."""


@dataclass(frozen=True, slots=True)
class Auditor:
    """A node that may be asked."""

    node: str
    institution: str
    owner_group: str = ""
    """Whoever controls the institution in the end; empty: the institution itself."""

    @property
    def whose(self) -> frozenset[str]:
        """Whose voice it is: of those that share a name here one counts."""
        return frozenset({self.institution, self.owner_group or self.institution})


@dataclass(frozen=True, slots=True)
class Reply:
    """What became of asking one auditor."""

    auditor: Auditor
    is_open: bool = False
    outcome: Outcome | None = None
    """None once it is no longer open: it did not run it."""
    why: str = ""
    is_unlawful: bool = False
    """The law of the data keeps the run from its node."""
    stretch: Stretch | None = None
    """What of it was asked for; None: all of it."""
    states: States | None = None
    """What it says of the stretch; None: nothing that can be compared."""
    has_run: bool = False
    """Its program ran to its end, or failed by its own doing."""


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
    stretch: Stretch | None = None
    """What of it; None: all of it."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Somebody was asked and has not answered."""


@dataclass(frozen=True, slots=True)
class Close:
    """Nothing more is asked."""

    decision: Decision
    independence: Independence


Step = Ask | Wait | Close


@dataclass(frozen=True, slots=True)
class Span:
    """How long an audit may take, in seconds."""

    within_s: int
    """By the pool's rules."""
    runtime_s: int
    """The job's own limit."""

    @property
    def most_s(self) -> int:
        """From the draw until it is given up."""
        return self.within_s + MOST_RUNS * self.runtime_s

    def limit_s(self, patience_s: int) -> int:
        """Return for how long one auditor is waited for, who may be asked to wait ``patience_s`` at most."""
        return min(patience_s, self.within_s // MOST_ASKED) + self.runtime_s


def given_up(audit: Audit, until: str) -> Close:
    """Return how an audit ends that has no verdict when its time is over. ``until``: when that was."""
    last = next((reply.why for reply in reversed(audit.replies) if reply.why), "")
    text = f"it had no verdict by {until}" + (f": {last}" if last else "")
    return Close(Decision(Verdict.INCONCLUSIVE, text), Independence.NONE)


def unconfirmed(close: Close, why: str) -> Close:
    """Return how an audit ends of a run that is paid only where others confirm it. ``why``: it is such a run."""
    if close.decision.verdict is not Verdict.INCONCLUSIVE:
        return close
    lost = Decision(Verdict.LOST, f"{why}: {close.decision.why}", alone=True)
    return Close(lost, close.independence)


def next_step(audit: Audit) -> Step:
    """Return what to do next, by what is known so far."""
    if audit.lost:
        return Close(Decision(Verdict.LOST, audit.lost), Independence.NONE)
    if any(reply.is_open for reply in audit.replies):
        return Wait()
    others = [reply for reply in audit.replies if reply.auditor != audit.provider]
    reruns = [
        Rerun(
            reply.auditor.node,
            reply.auditor.institution,
            reply.outcome,
            reply.auditor.owner_group,
        )
        for reply in others
        if reply.outcome is not None
    ]
    decision = decide(audit.claimed, reruns, audit.comparator)
    if decision.verdict is not Verdict.OPEN:
        return Close(decision, Independence.INDEPENDENT)
    after = next_auditor(audit, others)
    if after is not None:
        return Ask(after)
    if reruns:
        text = f"{decision.why}, and nobody is left to ask"
        return Close(Decision(Verdict.INCONCLUSIVE, text), Independence.INDEPENDENT)
    return _without_others(audit, others)


def _without_others(audit: Audit, others: Sequence[Reply]) -> Step:
    """Return what to do where no independent node has run it. That there is none is no law."""
    barred = {reply.auditor.node for reply in others if reply.is_unlawful}
    is_home_alone = bool(barred) and barred >= {one.node for one in audit.ranking}
    if audit.claimed.failed or not is_home_alone:
        # What the law says is plain; what else there was is what to look into.
        telling = [one for one in others if not one.is_unlawful] or others
        last = f", {telling[-1].auditor.node} last: {telling[-1].why}" if telling else ""
        text = f"none of {len(others)} independent nodes ran it again{last}"
        return Close(Decision(Verdict.INCONCLUSIVE, text), Independence.NONE)
    return _by_itself(audit)


def next_auditor(audit: Audit, others: Sequence[Reply]) -> Auditor | None:
    """Return the next auditor: of an institution and an owner group that have not answered yet."""
    asked = {reply.auditor.node for reply in others}
    has_spoken = (one for one in others if one.outcome is not None or one.states is not None)
    heard = {name for reply in has_spoken for name in reply.auditor.whose}
    barred = sum(reply.is_unlawful for reply in others)
    if barred >= MOST_BARRED or len(others) - barred >= MOST_ASKED:
        return None
    return next(
        (one for one in audit.ranking if one.node not in asked and not one.whose & heard), None
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
