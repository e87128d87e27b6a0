"""C2SP tlog-checkpoint: which log, how many leaves, which root.

https://c2sp.org/tlog-checkpoint
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from hansa.translog.faults import Fault, refused
from hansa.translog.merkle import EMPTY_ROOT, HASH_BYTES, MOST_LEAVES
from hansa.translog.note import decoded, encoded

MOST_CHARACTERS = 4096
"""A witness keeps what it cosigned, so what it cosigns is short."""
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A tree's head, as the text of a note."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()
    """Lines that no monitor can audit; read, never written here."""

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """Read a note's text; raises ``Terminal``."""
        if len(text) > MOST_CHARACTERS:
            text = f"a checkpoint of {len(text)} characters; {MOST_CHARACTERS} at most are read"
            raise refused(Fault.MALFORMED, text)
        lines = text.split("\n")
        if len(lines) < 4 or lines.pop() or not all(lines):  # noqa: PLR2004  # three lines, ended
            raise refused(
                Fault.MALFORMED, "a checkpoint is three lines or more, none of them empty"
            )
        origin, size, root, *extensions = lines
        found = cls(origin, natural(size), decoded(root), tuple(extensions))
        if len(found.root) != HASH_BYTES:
            raise refused(Fault.MALFORMED, "the root of the checkpoint is no SHA-256 hash")
        if not found.size and found.root != EMPTY_ROOT:
            raise refused(Fault.BAD_PROOF, "the empty tree has another root")
        return found

    def __str__(self) -> str:
        lines = [self.origin, str(self.size), encoded(self.root), *self.extensions]
        return "".join(f"{line}\n" for line in lines)


def natural(text: str) -> int:
    """Return a size or an index in its one decimal spelling; raises ``Terminal``."""
    if not _DECIMAL.fullmatch(text) or int(text) > MOST_LEAVES:
        raise refused(Fault.MALFORMED, f"{text[:30]!r} is no size or index")
    return int(text)
