"""This member's part in drawing audits: hears what the ledger calls for, and answers in the node's own status.

For which root a key was revealed is durable before the key is out: an agent that starts again, or another that takes
over, reveals none for a second root and commits to none that is out.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hansa.api.meta import Assurance
from hansa.api.sovereignnode import AssuranceWord, AuditCall
from hansa.errors import HansaError
from hansa.member.state.versioned_maps import VersionedMaps
from hansa.ports import Cluster, Manifest, Signer
from hansa.receipts.envelope import Keys
from hansa.verification.course.answers import Answer, answer
from hansa.verification.course.signed_words import read_word

log = logging.getLogger(__name__)
NAME = "hansa-audit-roots"
"""ConfigMap in the agent's namespace: epoch → root that its key was revealed for."""


class Auditor:
    """What was heard last, and what is said to it."""

    def __init__(self, signer: Signer, own: Cluster, namespace: str) -> None:
        """``signer``: the node's key, from which the keys of epochs follow; ``own``: the member's cluster."""
        self._signer = signer
        self._maps = VersionedMaps(own, namespace)
        self._is_read = False
        """Whether the roots known here are those that stand there."""
        self._answer = Answer()
        self._told = ""
        self.level: Assurance = "L0"
        """What the league says that this node has shown."""

    @property
    def wire(self) -> Manifest:
        """Its part of the status, to be applied; empty: nothing was asked yet."""
        said = (("commitment", self._answer.commitment), ("reveal", self._answer.reveal))
        return {
            name: one.model_dump(by_alias=True, mode="json")
            for name, one in said
            if one is not None
        }

    async def hear(self, node: Mapping[str, Any], keys: Keys) -> bool:
        """Take in what the hub shows of this node; tell whether there is something new to say.

        ``keys``: of the hubs that the institution trusts. A hub may show anything. What cannot be made durable now
        is not said, and is tried again at the next call.
        """
        status = node.get("status")
        status = status if isinstance(status, Mapping) else {}
        word = read_word(
            status.get("assurance"), AssuranceWord, node_key=self._signer.key_id, keys=keys
        )
        self.level = word.level if isinstance(word, AssuranceWord) else "L0"
        audits = status.get("audits")
        shown = audits.get("call") if isinstance(audits, Mapping) else None
        if shown is None:
            return False
        call = read_word(shown, AuditCall, node_key=self._signer.key_id, keys=keys)
        if isinstance(call, str):
            self._tell(f"a call that does not count: {call}")
            return False
        try:
            new = await self._durable(call)
        except HansaError as error:
            self._is_read = False
            self._tell(f"the roots that keys were revealed for cannot be read or written: {error}")
            return False
        before, self._answer = self._answer, new
        self._tell(new.refused)
        return (before.commitment, before.reveal) != (new.commitment, new.reveal)

    async def _durable(self, call: AuditCall) -> Answer:
        """Return the answer to a call once what it reveals is on disk."""
        before = self._answer
        if not self._is_read:
            # What was said counts, also where somebody has deleted it since.
            kept = _roots(await self._maps.read(NAME) or {})
            before = replace(before, roots={**before.roots, **kept})
        new = answer(call, self._signer, before)
        if new.roots != before.roots:
            lines: dict[str, str | None] = {str(epoch): None for epoch in before.roots}
            lines |= {str(epoch): root for epoch, root in new.roots.items()}
            await self._maps.write(NAME, lines)
        self._is_read = True
        return new

    def _tell(self, why: str) -> None:
        if why and why != self._told:
            log.warning("audit call not answered", extra={"why": why})
        self._told = why


def _roots(lines: Mapping[str, str]) -> dict[int, str]:
    return {int(epoch): root for epoch, root in lines.items() if epoch.isdecimal()}
