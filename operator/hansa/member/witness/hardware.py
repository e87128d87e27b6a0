"""What this member shows of its hardware: a device's report that somebody has fetched, from a ConfigMap.

Asking a device takes the vendor's own tool, on a machine that has such a device, so the agent does not. It writes down the
nonce that the device has to answer, and shows the report that is put beside it. Whether that counts the ledger decides.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from hansa.api.sovereignnode import AuditCall, HardwareEvidence
from hansa.api.texts import first_fault
from hansa.errors import HansaError
from hansa.member.state.versioned_maps import VersionedMaps
from hansa.ports import Cluster, Manifest
from hansa.receipts.envelope import Keys
from hansa.verification.course.attesting import nonce
from hansa.verification.course.signed_words import read_word

log = logging.getLogger(__name__)
NAME = "hansa-hardware"
"""ConfigMap in the agent's namespace: ``nonce`` is the agent's, ``report`` (base64) and ``chain`` (PEM) the collector's."""


class HardwareShower:
    """What was read last."""

    def __init__(self, node_key: str, own: Cluster, namespace: str) -> None:
        """``node_key``: id of the node's key; ``own``: the member's cluster."""
        self._node_key, self._maps = node_key, VersionedMaps(own, namespace)
        self._shown: HardwareEvidence | None = None
        self._told = ""

    @property
    def wire(self) -> Manifest:
        """Its part of the status, to be applied; empty: there is nothing to show."""
        return {} if self._shown is None else self._shown.model_dump(by_alias=True, mode="json")

    async def hear(self, node: Mapping[str, Any], keys: Keys) -> bool:
        """Take in what stands in the ConfigMap, and write down what to ask; tell whether there is something new to show.

        Where the institution has made no such ConfigMap nothing is done: it wants none of this.
        """
        before = self._shown
        try:
            lines = await self._maps.read(NAME)
            if lines is not None:
                await self._ask(lines, node, keys)
        except HansaError as error:
            self._tell(f"ConfigMap {NAME} cannot be read or written: {error}")
            return False
        self._shown = self._evidence(lines or {})
        return before != self._shown

    async def _ask(self, lines: Mapping[str, str], node: Mapping[str, Any], keys: Keys) -> None:
        status = node.get("status")
        audits = status.get("audits") if isinstance(status, Mapping) else None
        shown = audits.get("call") if isinstance(audits, Mapping) else None
        call = read_word(shown, AuditCall, node_key=self._node_key, keys=keys)
        if isinstance(call, str) or call.closed is None:
            return
        wanted = nonce(self._node_key, call.closed.epoch, call.closed.root).hex()
        if lines.get("nonce") != wanted:
            await self._maps.write(NAME, {"nonce": wanted})

    def _evidence(self, lines: Mapping[str, str]) -> HardwareEvidence | None:
        said = {name: lines[name].strip() for name in ("report", "chain") if lines.get(name)}
        if not said:
            return None
        try:
            found = HardwareEvidence.model_validate(said)
        except ValidationError as error:
            self._tell(f"ConfigMap {NAME} is not shown: {first_fault(error)}")
            return None
        self._told = ""
        return found

    def _tell(self, why: str) -> None:
        if why != self._told:
            log.warning("hardware evidence", extra={"why": why})
        self._told = why
