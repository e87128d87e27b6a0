"""The record of processing of a data set (GDPR art. 30), as far as receipts and grants can tell it.

What they tell stands there with where it is from. What only a person knows is marked and never filled:
whose data it is, who answers for it, when it is erased. A record that invents is worse than none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from hansa.api.places import BLOCS

TO_FILL = "TO BE FILLED IN BY A PERSON"
NOT_TOLD = "not told"


@dataclass(frozen=True, slots=True)
class ProcessedRun:
    """One run on the data set."""

    run: str
    job: str
    node: str
    provider: str
    """Institution that operates the node."""
    institution: str
    """Institution that the work was for."""
    project: str
    jurisdiction: str
    legal_control: tuple[str, ...]
    """Whose law reached the operator beside that of the place."""
    image: str
    """Digest."""
    purposes: tuple[str, ...]
    signers: tuple[str, ...]
    """Ids of data owners' keys, with the permit where one was named."""
    start: str
    """RFC 3339; empty: no receipt told of it yet."""
    end: str
    is_over: bool
    result: str
    """Digest of what left the member; empty: see ``left``."""
    receipts: int
    countersigned: int
    disputed: int
    left: str = ""
    """Why nothing left, as far as that is known, or how it did; empty: nobody knows."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that the article asks for."""

    article: str
    asked: str
    said: str
    source: str


def entries(runs: Sequence[ProcessedRun]) -> Iterator[Entry]:
    """Yield what art. 30 (1) asks for, in its order."""
    told = "grants and receipts"
    yield Entry("30(1)(a)", "institutions that processed it", _names(runs, "institution"), told)
    yield Entry("30(1)(a)", "controller, representative, data protection officer", TO_FILL, "")
    purposes = _listed(purpose for run in runs for purpose in run.purposes)
    yield Entry("30(1)(b)", "purposes", purposes or TO_FILL, "data owners' signatures")
    if purposes and not all(run.purposes for run in runs):
        yield Entry("30(1)(b)", "purposes of runs that name none", TO_FILL, "")
    yield Entry("30(1)(c)", "categories of data subjects and of personal data", TO_FILL, "")
    yield Entry("30(1)(d)", "who operated the machines", _names(runs, "provider"), told)
    received = _listed(run.institution for run in runs if run.result)
    unknown = sum(run.is_over and not run.result and not run.left for run in runs)
    if unknown:
        untold = f"{NOT_TOLD} of {unknown} run{'s' if unknown > 1 else ''}"
        received = f"{received}; {untold}" if received else untold
    yield Entry("30(1)(d)", "who received results", received or "nobody", told)
    logs = f"{NOT_TOLD}: no receipt tells of logs"
    yield Entry("30(1)(d)", "who was shown logs", logs, "members' policies and audit logs")
    yield Entry("30(1)(d)", "categories of recipients beyond these", TO_FILL, "")
    yield from _transfers(runs)
    yield Entry("30(1)(f)", "time limits for erasure", TO_FILL, "")
    yield Entry("30(1)(g)", "technical and organisational measures", TO_FILL, "")


def _transfers(runs: Sequence[ProcessedRun]) -> Iterator[Entry]:
    yield Entry("30(1)(e)", "places", _names(runs, "jurisdiction"), "members' signed receipts")
    laws = _listed(law for run in runs for law in run.legal_control)
    yield Entry("30(1)(e)", "laws that reached the operators", laws or NOT_TOLD, "league's nodes")
    outside = _listed(
        place
        for run in runs
        for place in (run.jurisdiction, *run.legal_control)
        if place and place.partition("-")[0] not in BLOCS["EEA"]
    )
    yield Entry("30(1)(e)", "of these outside the EEA", outside or "none", "")
    if outside:
        yield Entry("30(1)(e)", "safeguards of a transfer to a third country", TO_FILL, "")


def _names(runs: Sequence[ProcessedRun], field: str) -> str:
    return _listed(getattr(run, field) for run in runs) or NOT_TOLD


def _listed(words: Iterable[str]) -> str:
    return ", ".join(sorted({word for word in words if word}))
