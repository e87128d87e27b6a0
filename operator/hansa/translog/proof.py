"""C2SP tlog-proof: that an entry was logged, in one text that anybody can check offline.

https://c2sp.org/tlog-proof
"""

from __future__ import annotations

from dataclasses import dataclass

from hansa.translog.checkpoint import natural
from hansa.translog.faults import Fault, refused
from hansa.translog.judgement import ANY_TIME, Judgement, Window, judge
from hansa.translog.merkle import HASH_BYTES, MOST_HASHES, check_inclusion, leaf_hash
from hansa.translog.note import Note, checked_text, decoded, encoded
from hansa.translog.policy import Policy

_HEADER = "c2sp.org/tlog-proof@v1"


@dataclass(frozen=True, slots=True)
class LogProof:
    """An index, the hashes from the leaf to the root, and the checkpoint of that root."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: Note
    extra: bytes = b""
    """Not covered by anything; of use, never of proof."""

    @classmethod
    def parse(cls, body: bytes) -> LogProof:
        """Read a proof; raises ``Terminal``."""
        head, _, note = checked_text(body).partition("\n\n")
        header, *lines = head.split("\n")
        extra = decoded(lines.pop(0).removeprefix("extra ")) if _begins(lines, "extra ") else b""
        if header != _HEADER or not _begins(lines, "index "):
            raise refused(Fault.MALFORMED, f"the proof does not begin with {_HEADER} and an index")
        index = natural(lines.pop(0).removeprefix("index "))
        found = cls(index, parse_hashes(lines), Note.parse(note.encode()), extra)
        if found.encode() != body:
            raise refused(Fault.MALFORMED, "the proof is spelled in another way than it has to be")
        return found

    def encode(self) -> bytes:
        """Return the text."""
        extra = [f"extra {encoded(self.extra)}"] if self.extra else []
        hashes = [encoded(each) for each in self.hashes]
        lines = [_HEADER, *extra, f"index {self.index}", *hashes, "", ""]
        return "\n".join(lines).encode() + self.checkpoint.encode()

    def verify(self, entry: bytes, policy: Policy, window: Window = ANY_TIME) -> Judgement:
        """Check that ``entry`` is logged and witnessed; raises ``Terminal`` otherwise."""
        judgement = judge(self.checkpoint, policy, window)
        head = judgement.believed()
        check_inclusion(self.index, head.size, leaf_hash(entry), self.hashes, head.root)
        return judgement


def parse_hashes(lines: list[str]) -> tuple[bytes, ...]:
    """Read the hashes of a proof, one a line; raises ``Terminal``."""
    hashes = tuple(decoded(line) for line in lines)
    if len(hashes) > MOST_HASHES or any(len(each) != HASH_BYTES for each in hashes):
        raise refused(Fault.MALFORMED, f"a proof is at most {MOST_HASHES} SHA-256 hashes")
    return hashes


def _begins(lines: list[str], word: str) -> bool:
    return bool(lines) and lines[0].startswith(word)
