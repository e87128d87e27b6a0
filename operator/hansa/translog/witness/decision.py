"""What a witness answers, as a function of what it is asked and what it remembers.

Its memory of a log is the last checkpoint it cosigned, with its own signature below: it can be neither
forged nor damaged unseen. No memory is no empty memory. A witness that lost it would vouch for any tree,
so it refuses until a person enrols it or it is restored from what the others vouch for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hansa.errors import Terminal
from hansa.translog.checkpoint import Checkpoint
from hansa.translog.faults import Fault, refused
from hansa.translog.judgement import signed_checkpoint
from hansa.translog.merkle import check_consistency
from hansa.translog.note import Note, VerifierKey
from hansa.translog.signatures import verified
from hansa.translog.witness.request import WitnessRequest


@dataclass(frozen=True, slots=True)
class Charge:
    """Whom a witness watches, and as whom it signs."""

    logs: tuple[VerifierKey, ...]
    keys: tuple[VerifierKey, ...]
    """Its own; one for each way of signing."""


@dataclass(frozen=True, slots=True)
class Cosign:
    """Sign this text; remember it durably before the signature leaves."""

    note: Note
    """The checkpoint with the log's signatures alone."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """Sign nothing."""

    fault: Fault
    message: str
    remembered_size: int | None = None
    """Where to begin the next proof."""
    evidence: tuple[Note, ...] = ()
    """What convicts the log, for everybody to check."""


def decide(
    request: WitnessRequest,
    memory: Note | None,
    charge: Charge,
    now_s: int,
    *,
    seen: Sequence[Note] = (),
) -> Cosign | Refuse:
    """Return whether to cosign.

    Args:
        request: What the log, or whoever speaks for it, asks.
        memory: The last checkpoint cosigned for this origin, own signature included.
        charge: Whom to believe.
        now_s: The witness's clock, seconds since the Unix epoch.
        seen: Notes found anywhere that may carry own signatures, such as the published checkpoint.
    """
    try:
        new = signed_checkpoint(request.checkpoint, charge.logs)
        old, time_s = recalled(memory, new.origin, charge.keys)
        for note in (request.checkpoint, *seen):
            _check_not_later(note, old, charge.keys)
    except Terminal as error:
        return Refuse(Fault(error.reason), str(error))
    try:
        _check_follows(request, old, new)
        if now_s < time_s:
            raise refused(Fault.CLOCK_WENT_BACK, f"it is {now_s}, and was {time_s} before")
    except Terminal as error:
        fault = Fault(error.reason)
        convicts = fault is Fault.SPLIT_VIEW and memory is not None
        evidence = (memory, request.checkpoint) if convicts and memory is not None else ()
        return Refuse(fault, str(error), old.size, evidence)
    logs = {(key.name, key.id) for key in charge.logs}
    signatures = request.checkpoint.signatures
    lines = {(s.name, s.key_id): s for s in signatures if (s.name, s.key_id) in logs}
    return Cosign(Note(request.checkpoint.text, tuple(lines.values())))


def recalled(
    memory: Note | None, origin: str, keys: Sequence[VerifierKey]
) -> tuple[Checkpoint, int]:
    """Return what is remembered of a log and when it was cosigned; raises ``Terminal``."""
    if memory is None:
        text = f"nothing is remembered of {origin}: enrol the witness, or restore its memory"
        raise refused(Fault.NO_MEMORY, text)
    checkpoint = Checkpoint.parse(memory.text)
    signatures = list(verified(memory, keys))
    if checkpoint.origin != origin or not signatures:
        raise refused(Fault.NO_MEMORY, f"what is remembered of {origin} is not this witness's own")
    return checkpoint, max(signed.time_s for signed in signatures)


def _check_not_later(note: Note, old: Checkpoint, keys: Sequence[VerifierKey]) -> None:
    """Refuse where an own signature vouches for more than is remembered."""
    checkpoint = Checkpoint.parse(note.text)
    is_later = checkpoint.origin == old.origin and checkpoint.size > old.size
    if is_later and any(verified(note, keys)):
        text = f"this witness cosigned {checkpoint.size} leaves and remembers {old.size}"
        raise refused(Fault.FORGOTTEN, f"{text}: restore its memory")


def _check_follows(request: WitnessRequest, old: Checkpoint, new: Checkpoint) -> None:
    if new.size == old.size and new.root != old.root:
        raise refused(Fault.SPLIT_VIEW, f"{new.origin} signed two trees of {new.size} leaves")
    if new.size < old.size:
        raise refused(Fault.BACK_DATED, f"{new.size} leaves are fewer than the {old.size} known")
    if request.old_size != old.size:
        text = f"the proof begins at {request.old_size} leaves, {old.size} are remembered"
        raise refused(Fault.OLD_SIZE, text)
    check_consistency((old.size, old.root), (new.size, new.root), request.proof)
