"""The assurance level that a node has shown: a function of evidence and of now, never of what it declares.

Levels are cumulative: hardware evidence without sampled work lifts nobody, because whoever operates a machine can
touch it (TEE.fail, 2025). A verdict or probe against the node voids what it showed before, and every kind of evidence
gets stale. After a failure receipts lift nobody until what failed was tried again and was right: a cheat signs its
receipts, too. A node that nobody looked at is at ``DECLARED``, whatever its papers say.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

from hansa.model.times import rfc3339


class Level(IntEnum):
    """Assurance levels; the number is the one in ``L0`` … ``L4``."""

    DECLARED = 0
    """Nothing shown."""
    LOGGED = 1
    """Its receipts are signed, countersigned and in a witnessed log."""
    PROBED = 2
    """And its capacity answered a probe at a random time."""
    SAMPLED = 3
    """And samples of its work were run again by somebody independent and came out equal."""
    HARDWARE = 4
    """And its hardware attested itself."""


class Evidence(StrEnum):
    """Kinds of evidence. The strings are API."""

    RECEIPT = "Receipt"
    """A receipt that the hub countersigned, with a proof of inclusion under the league's quorum of witnesses."""
    PROBE = "Probe"
    AUDIT = "Audit"
    """A run again by another institution of another owner group."""
    OWN_AUDIT = "OwnAudit"
    """A run again by the same member, where the data may be nowhere else: it shows repeatability, not honesty."""
    HARDWARE = "Hardware"


NEEDS: Mapping[Level, Evidence] = {
    Level.LOGGED: Evidence.RECEIPT,
    Level.PROBED: Evidence.PROBE,
    Level.SAMPLED: Evidence.AUDIT,
    Level.HARDWARE: Evidence.HARDWARE,
}
"""What each level needs beyond the one below."""
ANSWERS: Mapping[Evidence, tuple[Evidence, ...]] = {
    Evidence.PROBE: (Evidence.PROBE,),
    Evidence.AUDIT: (Evidence.AUDIT,),
    Evidence.OWN_AUDIT: (Evidence.OWN_AUDIT, Evidence.AUDIT),
    Evidence.HARDWARE: (Evidence.HARDWARE,),
}
"""Kind that failed → any of which has to be right afterwards before receipts count again; the first is named."""
DAY_S = 86_400


class Lack(StrEnum):
    """Why a node is not a level higher. The strings are API."""

    NONE = "None"
    NOT_SHOWN = "NotShown"
    STALE = "Stale"
    FAILED = "Failed"
    """Evidence against it is newer than evidence for it."""
    ONLY_OWN_AUDITS = "OnlyOwnAudits"
    AUDITS_OVERDUE = "AuditsOverdue"


@dataclass(frozen=True, slots=True)
class Shown:
    """One piece of evidence about one node."""

    kind: Evidence
    at_s: int
    """When it was shown, in seconds since the Unix epoch, by the verifier's clock."""
    passed: bool = True


@dataclass(frozen=True, slots=True)
class Freshness:
    """How long each kind counts, and how long an audit may be due, in seconds."""

    for_s: Mapping[Evidence, int] = field(
        default_factory=lambda: {
            Evidence.RECEIPT: 30 * DAY_S,
            Evidence.PROBE: 30 * DAY_S,
            Evidence.AUDIT: 30 * DAY_S,
            Evidence.OWN_AUDIT: 30 * DAY_S,
            Evidence.HARDWARE: 7 * DAY_S,
        }
    )
    overdue_s: int = 7 * DAY_S


@dataclass(frozen=True, slots=True)
class Standing:
    """The level of a node now, with what the next one lacks."""

    level: Level
    lack: Lack
    why: str
    until_s: int | None
    """When it falls unless something is shown anew; None at ``DECLARED``."""
    needs: Evidence | None = None
    """What the next level lacks; None: nothing."""


def standing(
    evidence: Iterable[Shown], now_s: int, fresh: Freshness, *, oldest_due_s: int | None = None
) -> Standing:
    """Return the level that the evidence bears at ``now_s``.

    ``oldest_due_s``: since when the node's oldest undecided audit has been due; None: none is. A clock that ran ahead
    helps nobody: evidence dated after ``now_s`` does not count yet, and evidence against the node counts as of now.
    """
    seen = [
        Shown(one.kind, min(one.at_s, now_s), one.passed)
        for one in evidence
        if one.at_s <= now_s or not one.passed
    ]
    fallen_s = max((one.at_s for one in seen if not one.passed), default=None)
    level, until = Level.DECLARED, None
    for higher, asked in NEEDS.items():
        last = _last(seen, asked, fallen_s)
        kind, lack = asked, _lack(seen, asked, now_s, fresh, fallen_s)
        if lack is Lack.NONE and higher is Level.LOGGED:
            kind, lack = _refuted(seen, fallen_s) or (kind, lack)
        if lack is Lack.NONE and higher is Level.SAMPLED and _overdue(oldest_due_s, now_s, fresh):
            lack = Lack.AUDITS_OVERDUE
        if lack is not Lack.NONE or last is None:
            return Standing(level, lack, _why(higher, kind, lack, last), until, kind)
        ends = last + fresh.for_s[kind]
        level, until = higher, ends if until is None else min(until, ends)
    return Standing(level, Lack.NONE, "all is shown", until)


def _refuted(seen: list[Shown], fallen_s: int | None) -> tuple[Evidence, Lack] | None:
    """Return what has to be right again before receipts count, as it failed and was not since; None: nothing has."""
    failed = set(_failed(seen))
    for kind, answers in ANSWERS.items():
        is_open = all(_last(seen, answer, fallen_s) is None for answer in answers)
        if kind in failed and is_open:
            return kind, Lack.FAILED
    return None


def _last(seen: Iterable[Shown], kind: Evidence, fallen_s: int | None) -> int | None:
    """Return when the kind was last shown, after what was found against the node."""
    return max(
        (
            one.at_s
            for one in seen
            if one.passed and one.kind is kind and (fallen_s is None or one.at_s > fallen_s)
        ),
        default=None,
    )


def _lack(
    seen: list[Shown], kind: Evidence, now_s: int, fresh: Freshness, fallen_s: int | None
) -> Lack:
    last = _last(seen, kind, fallen_s)
    if last is not None:
        return Lack.NONE if now_s < last + fresh.for_s[kind] else Lack.STALE
    if any(one.kind is kind and one.passed for one in seen) or kind in _failed(seen):
        return Lack.FAILED
    if kind is Evidence.AUDIT and _last(seen, Evidence.OWN_AUDIT, fallen_s) is not None:
        return Lack.ONLY_OWN_AUDITS
    return Lack.NOT_SHOWN


def _failed(seen: Iterable[Shown]) -> Iterator[Evidence]:
    return (one.kind for one in seen if not one.passed)


def _overdue(oldest_due_s: int | None, now_s: int, fresh: Freshness) -> bool:
    return oldest_due_s is not None and now_s - oldest_due_s > fresh.overdue_s


def _why(higher: Level, kind: Evidence, lack: Lack, last: int | None) -> str:
    """Say what L``higher`` lacks, and the way out."""
    what = {
        Lack.NOT_SHOWN: f"no {kind.value} was shown",
        Lack.STALE: f"its last one is of {rfc3339(last or 0)}, which is too old",
        Lack.FAILED: f"what it showed was voided by a failure; a new {kind.value} is needed",
        Lack.ONLY_OWN_AUDITS: "its work was run again by itself only: no other institution may have its data",
        Lack.AUDITS_OVERDUE: "an audit of its work is overdue",
        Lack.NONE: "",
    }[lack]
    return f"L{higher.value} needs a fresh {kind.value}: {what}"
