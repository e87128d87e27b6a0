"""What comes next in the audit of a run that committed checkpoints: one segment, then ever less of it.

1. An independent auditor runs the segment that was drawn. If it ends as was committed, the run passes.
2. If it does not, provider and auditor both run it once more and say the states between, until one step is left, or
   one of them does not stand by its word: what the others run is as small as the two can make it. Their silence blames
   nobody, and delays nothing but that.
3. Others run what is left. As with whole runs two have to agree against the provider, and a third decides.

Where the auditors cannot begin at the state that was committed, the whole run is audited: a provider that keeps its
checkpoints to itself, or commits what they are not, gains nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace

from hansa.verification.auditors import Independence
from hansa.verification.comparison import Comparator, HardwareClass, Outcome
from hansa.verification.course import progress
from hansa.verification.course.progress import Ask, Audit, Auditor, Close, Reply, Step, Wait
from hansa.verification.segments import Claimed, Stretch, halve
from hansa.verification.verdict import Decision, Rerun, Verdict, decide

MOST_ROUNDS = 6
"""In which a dispute is made smaller; each leaves a thirty-third of it, where both say all that is asked."""
EXACT, ANY_HARDWARE = Comparator(), HardwareClass("", "", None, "", "")


def next_step(audit: Audit, drawn: Claimed) -> Step:
    """Return what to do next, by what is known so far. ``drawn``: the segment, as the provider committed it."""
    if any(reply.is_open for reply in audit.replies):
        return Wait()
    others = [one for one in audit.replies if one.auditor != audit.provider]
    first = next((one for one in others if one.stretch == drawn.stretch and one.states), None)
    if first is None:
        return _before_any(audit, drawn, others)
    if _end(first) == drawn.digest:
        return _closed(Decision(Verdict.PASSED, f"{first.auditor.node} got the same"), drawn)
    left = _narrowed(audit, drawn, first)
    return left if isinstance(left, Ask) else _decided(audit, *left, others)


def _before_any(audit: Audit, drawn: Claimed, others: Sequence[Reply]) -> Step:
    """Ask the next one for the segment, or, where somebody could not begin with it, for all of the run."""
    after = progress.next_auditor(audit, others)
    if after is not None and not any(one.has_run for one in others):
        return Ask(after, drawn.stretch)
    whole = [one for one in audit.replies if one.stretch is None or not one.has_run]
    return progress.next_step(replace(audit, replies=whole))


def _narrowed(audit: Audit, drawn: Claimed, first: Reply) -> Ask | tuple[Claimed, Rerun]:
    """Return whom to ask for a dispute to get smaller, or what is left of it with the auditor's word on that."""
    claimed, against = drawn, _end(first)
    for _ in range(MOST_ROUNDS):
        stretch = claimed.stretch
        if not stretch.say:
            break
        said = [_said(audit, who, stretch) for who in (audit.provider, first.auditor)]
        for who, one in zip((audit.provider, first.auditor), said, strict=True):
            if one is None:
                return Ask(who, stretch)
        own, other = (one.states if one and one.states else {} for one in said)
        if (own.get(stretch.last), other.get(stretch.last)) != (claimed.digest, against):
            break
        smaller = halve(claimed, own, other)
        if smaller == claimed:
            break
        claimed, against = smaller, other[smaller.stretch.last]
    return claimed, _rerun(first.auditor, against)


def _decided(audit: Audit, claimed: Claimed, against: Rerun, others: Sequence[Reply]) -> Step:
    """Have others run what is left, until two agree."""
    same = [one for one in others if one.stretch == claimed.stretch and one.states]
    words = [_rerun(one.auditor, _end(one)) for one in same if one.auditor.node != against.auditor]
    decision = decide(_digest(claimed.digest), [against, *words], EXACT)
    if decision.verdict is not Verdict.OPEN:
        return _closed(decision, claimed)
    after = progress.next_auditor(audit, others)
    if after is not None:
        return Ask(after, claimed.stretch)
    text = f"{decision.why}, and nobody is left to ask"
    return _closed(Decision(Verdict.INCONCLUSIVE, text), claimed)


def _closed(decision: Decision, claimed: Claimed) -> Close:
    stretch = claimed.stretch
    where = f"of steps {stretch.first} to {stretch.last}: {decision.why}"
    return Close(replace(decision, why=where), Independence.INDEPENDENT)


def _said(audit: Audit, auditor: Auditor, stretch: Stretch) -> Reply | None:
    return next(
        (one for one in audit.replies if one.auditor == auditor and one.stretch == stretch), None
    )


def _end(reply: Reply) -> str:
    """Return the state in which a stretch ends, by what was said of it."""
    if reply.states is None or reply.stretch is None:
        raise AssertionError("it says nothing of a stretch")
    return reply.states[reply.stretch.last]


def _rerun(auditor: Auditor, end: str) -> Rerun:
    return Rerun(auditor.node, auditor.institution, _digest(end), auditor.owner_group)


def _digest(said: str) -> Outcome:
    """Return a state's digest as what is compared: a job that commits checkpoints declares that they are exact."""
    text = json.dumps(said).encode()
    found = hashlib.sha256(text).hexdigest()
    return Outcome(ANY_HARDWARE, f"sha256:{found}", result=text)
