"""What a run that has ended claims: a result, that it failed by its own doing, or nothing that anybody should pay for.

The hub's sight counts wherever there is one: a member that decided by itself whether its run can be looked at would
decide that it cannot. See docs/adr/0032-failures-are-looked-at.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from hansa.api.job.retry import OWN_DOING
from hansa.receipts.countersign import Ending
from hansa.verification.comparison import HardwareClass, Outcome

SUCCEEDED, CANCELLED = "Succeeded", "Cancelled"


class Kind(StrEnum):
    """What has to be done about a run. The strings stand in the book."""

    RESULT = "Result"
    """It has a result: drawn with all that its node has at stake."""
    FAILURE = "Failure"
    """It failed, and another run would end alike: drawn with the pay of such runs at stake, and no other."""
    LOST = "Lost"
    """Its member ended or lost it: not paid for."""
    SILENT = "Silent"
    """There is nothing to compare."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What one run claims."""

    kind: Kind
    digest: str = ""
    """Of the result, ``sha256:…``."""
    why: str = ""
    """For people."""

    def outcome(self, hardware: HardwareClass, result: bytes | None) -> Outcome:
        """Return it as what is compared."""
        return Outcome(hardware, self.digest, result=result, failed=self.kind is Kind.FAILURE)


NO_DIGEST = Claim(
    Kind.SILENT,
    why="it left no digest of a result: the job declares none, or its data's owners keep it",
)
STOPPED = Claim(Kind.SILENT, why="it was stopped as the hub asked, and has no result")
UNTOLD = Claim(
    Kind.LOST, why="its last receipt has not come, and the hub was told nothing of its end"
)
UNHEARD = "the hub was told nothing of its end until it gave it up, and nothing confirms what its member says"


def claim(
    end_reason: str, result_digest: str | None, ending: Ending | None, *, is_unheard: bool = False
) -> Claim:
    """Return what a run claims: by its last receipt, and by the hub's sight of its end if there is one.

    ``is_unheard``: the hub gave the run up without a word of its end. It is paid for what others confirm, and for nothing
    else: whoever falls silent would be paid more than who says what was lost.
    """
    found = _claimed(end_reason, result_digest, ending)
    if is_unheard and found.kind is Kind.SILENT:
        return Claim(Kind.LOST, why=f"{UNHEARD}: {found.why}")
    return found


def _claimed(end_reason: str, result_digest: str | None, ending: Ending | None) -> Claim:
    reason = end_reason if ending is None else ending.reason
    told = "" if ending is None else ending.result_digest
    if reason == SUCCEEDED:
        digest = told if ending is not None else result_digest or ""
        return Claim(Kind.RESULT, digest) if digest else NO_DIGEST
    if reason in OWN_DOING:
        return Claim(Kind.FAILURE, why=reason)
    if reason == CANCELLED if ending is None else ending.cancelled:
        return STOPPED
    return Claim(Kind.LOST, why=f"its member ended or lost it by itself: {reason}")
