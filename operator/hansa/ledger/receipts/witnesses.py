"""Asks the league's witnesses to cosign the log's checkpoints, and publishes what they sign.

A member's agent that is a witness says so in its node's status, where it is asked too: nobody dials in to it. Agents
ask what is new a few times a minute, and the log grows meanwhile: one checkpoint is held up to all of them until it
meets the log's policy, or for a while.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hansa.api.kinds import SOVEREIGNNODE
from hansa.errors import HansaError, Terminal
from hansa.ledger.receipts.hub_view import HubView
from hansa.ledger.receipts.logbook import Logbook
from hansa.ports import Clock, Cluster
from hansa.translog.checkpoint import Checkpoint
from hansa.translog.note import Note

log = logging.getLogger(__name__)
HELD_UP_S = 90.0
"""An agent asks every 15 seconds, and what it says takes a pass of the ledger to be read."""
MOST_CHARACTERS = 16_384


@dataclass(frozen=True, slots=True)
class _Witness:
    """A node that says that it is one."""

    node: str
    asked: str
    cosigned: Note
    size: int
    """Leaves of that."""


class Witnesses:
    """For one caller at a time, who is the log's only one meanwhile."""

    def __init__(self, cluster: Cluster, hub: HubView, logbook: Logbook, clock: Clock) -> None:
        """``logbook``: whose checkpoints are held up."""
        self._cluster, self._hub, self._logbook, self._clock = cluster, hub, logbook, clock
        self._held: Note | None = None
        """The checkpoint that is held up to be cosigned; None: the newest meets the policy."""
        self._since_s = 0.0
        self._told: dict[str, str] = {}
        """Node → what was wrong with what it said, as it was last logged."""

    async def step(self) -> None:
        """1. Take what was cosigned. 2. Hold up the newest checkpoint, if it is time. 3. Ask for it."""
        if not self._hub.synced:
            return
        witnesses = [one for node in self._hub.nodes() if (one := self._read(node)) is not None]
        if not witnesses:
            return
        asked = await asyncio.to_thread(self._requests, witnesses)
        for node, request in asked.items():
            path = SOVEREIGNNODE.path(name=node) + "/status"
            try:
                await self._cluster.merge(path, {"status": {"witness": {"request": request}}})
            except HansaError as error:
                log.warning("witness not asked", extra={"node": node, "error": str(error)})

    def _requests(self, witnesses: list[_Witness]) -> dict[str, str]:
        """Return node → what to ask it, of those that are not asked it already."""
        for one in witnesses:
            self._tell(one.node, self._logbook.turned_back(one.cosigned))
        self._take(witnesses)
        held = self._hold_up()
        if held is None:
            return {}
        size = Checkpoint.parse(held.text).size
        found = {}
        for one in witnesses:
            if one.cosigned.text == held.text or one.size > size:
                continue
            request = self._logbook.request(one.size, held)
            if request != one.asked and len(request) <= MOST_CHARACTERS:
                found[one.node] = request
        return found

    def _take(self, witnesses: list[_Witness]) -> None:
        if self._held is None:
            return
        for one in witnesses:
            if one.cosigned.text != self._held.text:
                continue
            lines = "".join(f"{line}\n" for line in one.cosigned.signatures)
            try:
                is_met = self._logbook.cosign(lines, self._held)
            except Terminal as error:
                self._tell(one.node, str(error))
                continue
            self._told.pop(one.node, None)
            if is_met:
                self._held = None
                return

    def _hold_up(self) -> Note | None:
        """Return the checkpoint that witnesses are to cosign now."""
        now_s = self._clock.monotonic()
        if self._held is None or now_s - self._since_s > HELD_UP_S:
            self._held, self._since_s = self._logbook.unwitnessed(), now_s
        return self._held

    def _read(self, node: Mapping[str, Any]) -> _Witness | None:
        """Return what a node says as a witness; whatever stands there."""
        name, found = node["metadata"]["name"], (node.get("status") or {}).get("witness")
        said = found if isinstance(found, Mapping) else {}
        cosigned = said.get("cosigned")
        if not isinstance(cosigned, str):
            return None
        try:
            note = Note.parse(cosigned.encode())
            checkpoint = Checkpoint.parse(note.text)
        except (Terminal, UnicodeEncodeError) as error:
            self._tell(name, str(error))
            return None
        if checkpoint.origin != self._logbook.origin:
            self._tell(name, f"it watches the log {checkpoint.origin}")
            return None
        self._tell(name, str(said.get("refused") or ""))
        return _Witness(name, str(said.get("request") or ""), note, checkpoint.size)

    def _tell(self, node: str, why: str) -> None:
        if why and self._told.get(node) != why:
            log.warning("checkpoint not cosigned", extra={"node": node, "why": why[:300]})
            self._told[node] = why
