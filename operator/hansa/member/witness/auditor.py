"""This member's part in drawing audits: hears what the ledger calls for, and answers in the node's own status."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from hansa.api.meta import Assurance
from hansa.api.sovereignnode import AssuranceWord, AuditCall
from hansa.ports import Manifest, Signer
from hansa.receipts.envelope import Keys
from hansa.verification.course.answers import Answer, answer
from hansa.verification.course.words import read_word

log = logging.getLogger(__name__)


class Auditor:
    """What was heard last, and what is said to it."""

    def __init__(self, signer: Signer) -> None:
        """``signer``: the node's key, from which the keys of epochs follow."""
        self._signer = signer
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

    def hear(self, node: Mapping[str, Any], keys: Keys) -> bool:
        """Take in what the hub shows of this node; tell whether there is something new to say.

        ``keys``: of the hubs that the institution trusts. A hub may show anything.
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
        before, self._answer = self._answer, answer(call, self._signer, self._answer)
        self._tell(self._answer.refused)
        return (before.commitment, before.reveal) != (
            self._answer.commitment,
            self._answer.reveal,
        )

    def _tell(self, why: str) -> None:
        if why and why != self._told:
            log.warning("audit call not answered", extra={"why": why})
        self._told = why
