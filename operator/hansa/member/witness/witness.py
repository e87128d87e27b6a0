"""The witness: asked by a text, answers by signature lines, remembers before it answers.

Where the text comes from and where the lines go is the caller's: on the hub both stand in the status of
the member's own SovereignNode, so nobody dials in and the member needs no right it does not have.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from hansa.errors import Terminal
from hansa.member.witness.memory import Recollection, WitnessMemory
from hansa.ports import Clock
from hansa.translog.checkpoint import Checkpoint
from hansa.translog.faults import Fault
from hansa.translog.judgement import Window
from hansa.translog.note import Note, VerifierKey
from hansa.translog.policy import Policy
from hansa.translog.signatures import NoteSigner
from hansa.translog.witness.beginning import enrolled, own_lines, remembered, restored
from hansa.translog.witness.decision import Charge, Refuse, decide
from hansa.translog.witness.request import WitnessRequest

log = logging.getLogger(__name__)


class Witness:
    """Cosigns the checkpoints of some logs."""

    def __init__(
        self,
        memory: WitnessMemory,
        signers: Sequence[NoteSigner],
        logs: Sequence[VerifierKey],
        clock: Clock,
    ) -> None:
        """``signers``: its own keys, one for each way of signing; ``logs``: those it watches."""
        self._memory, self._signers, self._clock = memory, tuple(signers), clock
        self._charge = Charge(tuple(logs), tuple(signer.key for signer in signers))

    async def answer(self, body: bytes, seen: Sequence[bytes] = ()) -> str | Refuse:
        """Return signature lines for a request, or why there are none.

        ``seen``: notes that may show later signatures of its own, such as its last answer on the hub.
        Raises ``Conflict`` where another replica answered at the same time, ``Retryable`` where the
        memory cannot be read or written: nothing was signed away then.
        """
        try:
            request = WitnessRequest.parse(body)
            notes = [Note.parse(note) for note in seen]
            origin = Checkpoint.parse(request.checkpoint.text).origin
            known = await self._memory.read(origin)
        except Terminal as error:
            return self._refused(Refuse(_fault(error), str(error)))
        now_s = int(self._clock.now())
        decision = decide(request, known.note, self._charge, now_s, seen=notes)
        if isinstance(decision, Refuse):
            return self._refused(decision)
        return await self._cosigned(decision.note, origin, known, now_s)

    async def enrol(self, origin: str, seen: Sequence[bytes]) -> None:
        """Begin to watch a log, once, by a person's hand.

        Raises ``Conflict`` where it is watched already, ``Terminal`` where it was before.
        """
        notes = [Note.parse(note) for note in seen]
        note = enrolled(origin, self._signers, int(self._clock.now()), notes)
        await self._memory.begin(origin, note, await self._memory.read(origin))

    async def restore(self, published: bytes, policy: Policy, oldest_s: int) -> None:
        """Take up a lost memory from a checkpoint that the other witnesses cosigned lately.

        ``oldest_s``: age of their cosignatures, at most. Raises ``Conflict`` where a memory is there,
        ``Terminal`` where they do not meet the policy without this witness.
        """
        now_s = int(self._clock.now())
        note = restored(
            Note.parse(published), policy, self._signers, Window(now_s - oldest_s, now_s)
        )
        origin = Checkpoint.parse(note.text).origin
        await self._memory.begin(origin, note, await self._memory.read(origin))

    async def _cosigned(self, note: Note, origin: str, known: Recollection, now_s: int) -> str:
        memory = remembered(note, self._signers, now_s)
        await self._memory.advance(origin, memory, known)
        return own_lines(memory, self._charge.keys)

    def _refused(self, refusal: Refuse) -> Refuse:
        log.warning(
            "checkpoint not cosigned",
            extra={"fault": str(refusal.fault), "error": refusal.message},
        )
        return refusal


def _fault(error: Terminal) -> Fault:
    return Fault(error.reason) if error.reason in Fault.__members__.values() else Fault.NO_MEMORY
