"""What comes next in one capacity probe: wait for its time, send it, wait for its answer, close it.

Nobody but the ledger knows when: the time is drawn, anew after each probe. What keeps a probe from running (the law of
the member, a full cluster, a network) says nothing about the node; a signed answer that is wrong does.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum

from hansa.verification.consequences import of_probe
from hansa.verification.probe.tags import judge_tags, read_tags
from hansa.verification.probe.verifier import Challenge


class Outcome(StrEnum):
    """What became of a probe. The strings are API."""

    PASSED = "Passed"
    FAILED = "Failed"
    """The node has signed a wrong product."""
    LOST = "Lost"
    """It did not run, or too slowly, or its answer cannot be read: nothing was shown, and nothing against the node."""


@dataclass(frozen=True, slots=True)
class Times:
    """When probes are sent, and how long they may take, in seconds."""

    every_s: int
    """A probe that was decided is followed by the next within so long."""
    retry_s: int
    """The same for one that was lost, and for a node's first."""
    within_s: int
    """From the grant, which tells the node the seed, to the answer."""
    patience_s: int
    """How long a probe may wait for room and for its receipt before it is lost."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What a node was asked."""

    at_s: int
    node_key: str
    challenge: Challenge


@dataclass(frozen=True, slots=True)
class Answer:
    """What a run has shown, by the node's last receipt for it."""

    node_key: str
    """Whose key signed it."""
    is_same_work: bool | None
    """Whether what ran is what was asked; None: the ledger did not see its grant, and nobody knows."""
    digest: str | None
    """Of the result, as the receipt has it."""
    result: str | None
    """As the node told it; None: not yet."""
    took_ms: int
    """From the grant to now, by the verifier's clock."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One probe so far."""

    due_s: int
    sent: Sent | None = None
    answer: Answer | None = None
    obstacle: str = ""
    """Why it will not run; empty: nothing says so."""
    waits_for: str = ""
    """Why it does not run yet."""


@dataclass(frozen=True, slots=True)
class Send:
    """Its time has come."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing is to be done now."""


@dataclass(frozen=True, slots=True)
class Closed:
    """It is over."""

    outcome: Outcome
    why: str
    backend: str = ""
    """What the node says it multiplied with; empty where it did not get so far."""


def due_s(now_s: int, last: Outcome | None, times: Times, chance: float) -> int:
    """Return when the next probe is sent. ``last``: what became of the one before; ``chance``: drawn from [0, 1)."""
    within_s = times.retry_s if last in {None, Outcome.LOST} else times.every_s
    return now_s + int(within_s * chance)


def next_probing(probe: Probe, now_s: int, times: Times) -> Send | Wait | Closed:
    """Return what to do next, by what is known so far."""
    if probe.sent is None:
        # What is due later than all that is drawn now was drawn by a clock that ran ahead, or by other settings.
        is_far = probe.due_s - now_s > max(times.every_s, times.retry_s)
        return Send() if now_s >= probe.due_s or is_far else Wait()
    waited_s = now_s - probe.sent.at_s
    if probe.answer is not None:
        fault = _not_its_answer(probe.sent, probe.answer)
        # The receipt may be here before the text that it signs.
        is_whole = fault or probe.answer.result is not None or abs(waited_s) > times.patience_s
        return _judged(probe.sent, probe.answer, fault, times) if is_whole else Wait()
    why = probe.obstacle or _too_long(probe, waited_s, times)
    return Closed(Outcome.LOST, why) if why else Wait()


def _too_long(probe: Probe, waited_s: int, times: Times) -> str:
    """Return why an answer is waited for no more; empty: it may still come."""
    if waited_s < -times.patience_s:
        return "it was sent by a clock that ran ahead"
    if waited_s <= times.patience_s:
        return ""
    what = f": {probe.waits_for}" if probe.waits_for else ""
    return f"no answer in {times.patience_s} s{what}"


def _judged(sent: Sent, answer: Answer, fault: str, times: Times) -> Closed:
    if fault or answer.result is None:
        return Closed(Outcome.LOST, fault or "it told no result")
    try:
        said = read_tags(answer.result)
    except ValueError as error:
        return Closed(Outcome.LOST, f"its answer cannot be read: {error}"[:500])
    found = judge_tags(
        sent.challenge, said.tags, took_ms=answer.took_ms, limit_ms=times.within_s * 1000
    )
    shown = of_probe(found, 0).evidence
    outcome = Outcome.LOST
    if shown:
        outcome = Outcome.PASSED if shown[0].passed else Outcome.FAILED
    return Closed(outcome, found.why, said.backend)


def _not_its_answer(sent: Sent, answer: Answer) -> str:
    """Return why an answer is not the one that the node has signed to this probe; empty: it is."""
    if answer.node_key != sent.node_key:
        return f"{answer.node_key} has answered, which was not asked"
    if answer.is_same_work is None:
        return "the ledger was away while its grant was there, and does not know what it ran"
    if not answer.is_same_work:
        return "it ran something else than what was asked"
    if answer.digest is None:
        return "its receipt has no digest of a result: its law keeps results at home"
    told = hashlib.sha256((answer.result or "").encode()).hexdigest()
    if answer.result is not None and answer.digest != f"sha256:{told}":
        return "the result that it told is not the one that it has signed"
    return ""
