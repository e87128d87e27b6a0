"""Proofs for entries of a log, out of its published files and the index of its leaves; nothing is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from hansa.errors import NotFound, Retryable
from hansa.translog.checkpoint import Checkpoint
from hansa.translog.log.reader import LogReader
from hansa.translog.merkle import leaf_hash
from hansa.translog.note import Note
from hansa.translog.proof import LogProof

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
        body = self._read(WITNESSED)
        note = None if body is None else Note.parse(body)
        size = 0 if note is None else Checkpoint.parse(note.text).size
        if note is None or index >= size:
            raise Retryable(f"entry {index} is logged; its checkpoint is not cosigned yet")
        return LogProof(index, self._reader.inclusion(index, size), note)
