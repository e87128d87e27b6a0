"""What runs have to do and what they told, from their grants: kept from when it is heard of until it is in the book.

A grant is gone when its run is released, which may be seconds later. So much waits here and no more: what is
passed over is counted, and whoever reads has to look at the grants that are there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson

from hansa.ledger.receipts.grants import Claimed
from hansa.ports import Manifest

MOST_BYTES = 64 << 20
"""Of specs and results that wait: those of some twenty thousand grants."""


@dataclass(frozen=True, slots=True)
class GrantNote:
    """What one grant tells of its run."""

    run: str
    job: str
    """``namespace/name``."""
    node: str
    spec_json: bytes
    """The job's spec, as the grant has it."""
    result: str | None
    """What the member told; None: nothing yet."""

    @property
    def spec(self) -> dict[str, Any]:
        """The job's spec."""
        return dict(orjson.loads(self.spec_json))

    @property
    def size_bytes(self) -> int:
        """What it takes to keep it."""
        return len(self.spec_json) + len(self.result or "")


def note_of(claim: Claimed, thing: Manifest) -> GrantNote:
    """Return what a WorkGrant tells. ``claim``: of the same grant."""
    return GrantNote(
        run=claim.run,
        job=claim.job,
        node=claim.record.node,
        spec_json=orjson.dumps(thing["spec"]["jobSpec"]),
        result=result_of(thing),
    )


def result_of(thing: Manifest) -> str | None:
    """Return the result that a grant's status shows; it is the member's to write."""
    result = (thing.get("status") or {}).get("result")
    return result if isinstance(result, str) else None


class GrantNotes:
    """Notes that wait, by the uids of their grants; for one event loop."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        """Nothing waits."""
        self._most_bytes = most_bytes
        self._waiting: dict[str, GrantNote] = {}
        self._bytes = 0
        self.passed_over = 0
        """How many there was no room for."""

    def hear(self, uid: str, note: GrantNote) -> None:
        """Keep a note. What a grant told first stays, as in the book."""
        old = self._waiting.get(uid)
        if old is not None:
            note = replace(old, result=note.result if old.result is None else old.result)
        more_bytes = note.size_bytes - (0 if old is None else old.size_bytes)
        if self._bytes + more_bytes > self._most_bytes:
            self.passed_over += 1
            return
        self._waiting[uid] = note
        self._bytes += more_bytes

    def waiting(self) -> dict[str, GrantNote]:
        """Return what waits, the oldest first."""
        return dict(self._waiting)

    def kept(self, notes: Mapping[str, GrantNote]) -> None:
        """Let these go. One of which more was heard meanwhile waits on."""
        for uid, note in notes.items():
            if self._waiting.get(uid) is note:
                del self._waiting[uid]
                self._bytes -= note.size_bytes
