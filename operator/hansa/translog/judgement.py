"""Is this checkpoint believed under this policy, and if not, why?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hansa.translog.checkpoint import Checkpoint
from hansa.translog.faults import Fault, refused
from hansa.translog.merkle import MOST_LEAVES
from hansa.translog.note import Note, VerifierKey
from hansa.translog.policy import Policy
from hansa.translog.signatures import Signed, verified


@dataclass(frozen=True, slots=True)
class Window:
    """Which times of cosignatures count, seconds since the Unix epoch, both ends included."""

    not_before_s: int = 1
    not_after_s: int = MOST_LEAVES

    def objection(self, time_s: int) -> Fault | None:
        """Return why a cosignature of this time does not count."""
        if time_s == 0:
            return Fault.UNTIMED
        if time_s < self.not_before_s:
            return Fault.BACK_DATED
        return Fault.FROM_THE_FUTURE if time_s > self.not_after_s else None


ANY_TIME = Window()


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was found; ``missing`` is empty where the checkpoint is believed."""

    checkpoint: Checkpoint
    cosigned_s: Mapping[str, int]
    """Witness → time of its cosignature that counts."""
    objections: Mapping[str, Fault] = field(default_factory=dict)
    """Witness → why its cosignature, though its own, does not count."""
    missing: tuple[str, ...] = ()

    def believed(self) -> Checkpoint:
        """Return the checkpoint; raises ``Terminal`` where the quorum is not met."""
        if not self.missing:
            return self.checkpoint
        faults = [f"{name}: {fault}" for name, fault in sorted(self.objections.items())]
        text = "; ".join([*self.missing, *faults])
        fault = next(iter(sorted(self.objections.values())), Fault.NO_QUORUM)
        raise refused(fault, f"checkpoint {self.checkpoint.size} of {self._origin}: {text}")

    @property
    def _origin(self) -> str:
        return self.checkpoint.origin


def judge(note: Note, policy: Policy, window: Window = ANY_TIME) -> Judgement:
    """Weigh a checkpoint; raises ``Terminal`` where no believed log signed it, or a line is false."""
    checkpoint = signed_checkpoint(note, policy.logs)
    names = {key: name for name, key in policy.witnesses.items()}
    times: dict[str, int] = {}
    objections: dict[str, Fault] = {}
    for signed in verified(note, names):
        name, objection = names[signed.key], window.objection(signed.time_s)
        if objection is None:
            times[name] = max(signed.time_s, times.get(name, 0))
        else:
            objections[name] = objection
    late = {name: fault for name, fault in objections.items() if name not in times}
    return Judgement(checkpoint, times, late, policy.quorum.missing(times.keys()))


def signed_checkpoint(note: Note, logs: tuple[VerifierKey, ...]) -> Checkpoint:
    """Return the checkpoint that the log of its origin signed; raises ``Terminal`` otherwise."""
    checkpoint = Checkpoint.parse(note.text)
    keys = [key for key in logs if key.name == checkpoint.origin]
    if not keys:
        raise refused(Fault.UNKNOWN_LOG, f"{checkpoint.origin[:80]!r} is no log that is believed")
    signatures: list[Signed] = list(verified(note, keys))
    if not signatures:
        raise refused(Fault.UNSIGNED, f"log {checkpoint.origin} did not sign this checkpoint")
    return checkpoint
