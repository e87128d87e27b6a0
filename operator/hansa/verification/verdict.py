"""What an audit finds: one equal result is enough to pass; to fail, and to confirm a failure, two auditors have to agree.

One auditor that differs proves nothing: it may be broken, or lie. A second is asked; if it stands with the provider, a
third decides. A failure is no evidence of work, and one friend could say it, too: two have to fail alike, and where two
get through what the provider says that it failed, its work is ``LOST``: that is no cheat, and not paid. A provider
fails only where two independent auditors gave results that are equal to each other and not to its own: work that comes
out otherwise every time is ``INCONCLUSIVE``, and a fault of the job. Two auditors that share an institution or an
owner group count as one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from hansa.verification.comparison import Comparator, Match, Outcome, compare

MAX_AUDITORS = 5
"""Auditors that are asked before an audit is given up: each costs what the run cost."""


class Verdict(StrEnum):
    """What is known. The strings are API."""

    OPEN = "Open"
    """Another auditor has to run it."""
    PASSED = "Passed"
    FAILED = "Failed"
    INCONCLUSIVE = "Inconclusive"
    LOST = "Lost"
    """It left nothing that it could be paid for, which need not be a cheat."""


@dataclass(frozen=True, slots=True)
class Rerun:
    """One auditor's answer."""

    auditor: str
    institution: str
    outcome: Outcome | None
    """None: it could not run it, or did not answer in time; that says nothing about the provider."""
    owner_group: str = ""
    """Whoever controls the institution in the end; empty: the institution itself."""


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict with its reasons."""

    verdict: Verdict
    why: str
    outvoted: tuple[str, ...] = field(default=())
    """Auditors that called good work bad against two others, or confirmed what two others refuted."""
    alone: bool = False
    """Whether nobody found anything out: what it costs is the pay of this run, and of no other."""


def decide(
    claimed: Outcome, reruns: Sequence[Rerun], comparator: Comparator | None = None
) -> Decision:
    """Return what the runs so far say about ``claimed``, in the order in which they were asked for."""
    counted = _one_each(reruns)
    found = [(one, compare(claimed, one.outcome, comparator)) for one in counted if one.outcome]
    equal = [one for one, what in found if what.match is Match.EQUAL]
    different = [one for one, what in found if what.match is Match.DIFFERENT]
    same = "failed, too" if claimed.failed else "got the same"
    if equal and not different and not claimed.failed:
        return Decision(Verdict.PASSED, f"{equal[0].auditor} {same}")
    if len(equal) > 1:
        return Decision(
            Verdict.PASSED,
            f"{equal[0].auditor} and {equal[1].auditor} {same}",
            tuple(one.auditor for one in different),
        )
    if claimed.failed and len(different) > 1:
        both = f"{different[0].auditor} and {different[1].auditor}"
        return Decision(
            Verdict.LOST,
            f"{both} got through what failed there",
            tuple(one.auditor for one in equal),
        )
    agreeing = _agreeing(different, comparator)
    if agreeing is not None:
        why = next(what.why for one, what in found if one is agreeing[0])
        return Decision(
            Verdict.FAILED,
            f"{agreeing[0].auditor} and {agreeing[1].auditor} agree against it: {why}",
            tuple(one.auditor for one in equal),
        )
    if len(reruns) >= MAX_AUDITORS:
        return Decision(Verdict.INCONCLUSIVE, f"no two of {len(reruns)} auditors agree")
    return Decision(Verdict.OPEN, _next(equal, different, same))


def _one_each(reruns: Sequence[Rerun]) -> list[Rerun]:
    """Return the answers in order, without those whose institution or owner group has answered before."""
    counted: list[Rerun] = []
    heard: set[str] = set()
    for one in reruns:
        whose = {one.institution, one.owner_group or one.institution}
        if one.outcome is not None and not whose & heard:
            counted.append(one)
            heard |= whose
    return counted


def _agreeing(
    different: Sequence[Rerun], comparator: Comparator | None
) -> tuple[Rerun, Rerun] | None:
    for index, one in enumerate(different):
        for other in different[index + 1 :]:
            if one.outcome and other.outcome:
                both = compare(one.outcome, other.outcome, comparator)
                if both.match is Match.EQUAL:
                    return one, other
    return None


def _next(equal: Sequence[Rerun], different: Sequence[Rerun], same: str) -> str:
    if equal and not different:
        return f"{equal[0].auditor} {same}: another has to confirm it"
    if not different:
        return "no auditor has answered with something comparable yet"
    if equal:
        return f"{different[0].auditor} differs and {equal[0].auditor} does not: a third decides"
    return f"{different[0].auditor} differs: another has to confirm it"
