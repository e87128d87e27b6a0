"""Proofs for entries of a log, out of its published files and the index of its leaves; nothing is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from hansa.errors import NotFound, Retryable
from hansa.translog.checkpoint import Checkpoint
from hansa.translog.log.reader import LogReader
from hansa.translog.merkle import leaf_hash
from hansa.translog.note import Note
from hansa.translog.proof import LogProof
from hansa.translog.witness.request import WitnessRequest

WITNESSED = "checkpoint.witnessed"
"""The newest checkpoint that meets the log's policy: what proofs are made for."""


class Prover:
    """Makes proofs, beside the one writer of the log or without it."""

    def __init__(
        self,
        read: Callable[[str], bytes | None],
        find: Callable[[Sequence[bytes]], Mapping[bytes, int]],
    ) -> None:
        """``read``: returns a file below the log's prefix, or None. ``find``: leaf hashes → indexes."""
        self._read, self._find = read, find
        self._reader = LogReader(read)

    def prove(self, entry: bytes) -> LogProof:
        """Return the proof that ``entry`` is logged and witnessed.

        Raises ``NotFound`` where it is not logged, ``Retryable`` where it is not witnessed yet.
        """
        leaf = leaf_hash(entry)
        index = self._find([leaf]).get(leaf)
        if index is None:
            raise NotFound("this entry is not in the log")
        note, size = self._witnessed()
        if index >= size:
            raise Retryable(f"entry {index} is logged; its checkpoint is not cosigned yet")
        return LogProof(index, self._reader.inclusion(index, size), note)

    def extends(self, old_size: int) -> WitnessRequest:
        """Return the proof that the witnessed log begins with one of ``old_size``, in the form that witnesses read.

        Raises ``Retryable`` where it is not witnessed so far.
        """
        note, size = self._witnessed()
        if old_size > size:
            raise Retryable(
                f"{size} entries of the log are witnessed, the clearing names {old_size}"
            )
        return WitnessRequest(old_size, self._reader.consistency(old_size, size), note)

    def _witnessed(self) -> tuple[Note, int]:
        """Return the newest checkpoint that meets the policy, and its size."""
        body = self._read(WITNESSED)
        note = Note("") if body is None else Note.parse(body)
        return note, 0 if body is None else Checkpoint.parse(note.text).size
