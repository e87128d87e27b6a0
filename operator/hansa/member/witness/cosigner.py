"""This member's part as a witness of the league's log: hears what the ledger asks, answers in the node's own status.

It watches one log, of a hub that the institution trusts. What it shows there is its memory: the checkpoint that it
cosigned last.
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from hansa.adapters.mldsa import MlDsaSigner
from hansa.errors import HansaError, Terminal
from hansa.member.settings import Witnessing
from hansa.member.witness.memory import WitnessMemory
from hansa.member.witness.witness import Witness
from hansa.ports import Clock, Manifest, Signer
from hansa.translog.note import KeyType, Note, VerifierKey
from hansa.translog.signatures import NoteSigner
from hansa.translog.witness.decision import Refuse

log = logging.getLogger(__name__)
MOST_WHY = 300


def note_signers(settings: Witnessing, node_key: Signer) -> tuple[NoteSigner, ...]:
    """Return the keys that this member cosigns with; none: it is no witness. Raises ``Terminal`` for one that is none."""
    if not settings.name:
        return ()
    own = NoteSigner.of(settings.name, KeyType.COSIGNATURE_ED25519, node_key)
    if not settings.ml_dsa_key_file:
        return (own,)
    try:
        more = MlDsaSigner.from_file(Path(settings.ml_dsa_key_file))
    except Terminal as error:
        raise Terminal(f"witness.mlDsaKeyFile: {error}", reason="NoKey") from error
    return own, NoteSigner.of(settings.name, KeyType.COSIGNATURE_ML_DSA_44, more)


class Cosigner:
    """What was cosigned last, and what is said of it."""

    def __init__(
        self, origin: str, signers: Iterable[NoteSigner], memory: WitnessMemory, clock: Clock
    ) -> None:
        """``origin``: of the log that is watched; ``signers``: none where this member is no witness."""
        self._origin, self._signers = origin, tuple(signers)
        self._memory, self._clock = memory, clock
        self._told = ""
        self.wire: Manifest = {}
        """Its part of the status, to be applied; empty: it is no witness, or has heard of nothing yet."""

    async def hear(self, node: Mapping[str, Any], hub_keys: Iterable[str]) -> bool:
        """Take in what the hub shows of this node; tell whether there is something new to say.

        ``hub_keys``: public keys of the hubs that the institution trusts, base64. A hub may show anything. What cannot
        be remembered now is not signed, and is tried again at the next call.
        """
        if not self._signers:
            return False
        status = node.get("status")
        said = status.get("witness") if isinstance(status, Mapping) else None
        said = said if isinstance(said, Mapping) else {}
        before, asked = self.wire, said.get("request")
        try:
            await self._answer(asked if isinstance(asked, str) else "", said, hub_keys)
        except HansaError as error:
            self._tell(str(error))
        return self.wire != before

    async def _answer(self, asked: str, said: Mapping[str, Any], hub_keys: Iterable[str]) -> None:
        known, refused = await self._known(), ""
        if asked and not (known and f"\n\n{known.text}\n" in asked):
            witness = Witness(self._memory, self._signers, self._logs(hub_keys), self._clock)
            found = await witness.answer(asked.encode(), list(_notes(said.get("cosigned"))))
            if isinstance(found, Refuse):
                refused = f"{found.fault}: {found.message}"
            known = await self._known()
        if known is None and not refused:
            refused = f"NoMemory: nothing is remembered of {self._origin}: enrol the witness"
        self._tell(refused)
        self.wire = {
            **({} if known is None else {"cosigned": known.encode().decode()}),
            **({"refused": refused[:MOST_WHY]} if refused else {}),
        }

    async def _known(self) -> Note | None:
        return (await self._memory.read(self._origin)).note

    def _logs(self, hub_keys: Iterable[str]) -> list[VerifierKey]:
        raw = map(base64.b64decode, hub_keys)
        return [VerifierKey(self._origin, KeyType.ED25519, key) for key in raw]

    def _tell(self, why: str) -> None:
        if why and why != self._told:
            log.warning("no checkpoint is cosigned", extra={"why": why})
        self._told = why


def _notes(shown: object) -> Iterator[bytes]:
    """Yield what may be a later signature of this witness than it remembers; what is no note shows nothing."""
    if isinstance(shown, str):
        try:
            Note.parse(shown.encode())
        except (Terminal, UnicodeEncodeError):
            return
        yield shown.encode()
