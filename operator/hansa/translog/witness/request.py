"""What a log asks of a witness: the body of C2SP tlog-witness ``add-checkpoint``.

It carries all that is needed, so a witness fetches nothing and may sit behind any NAT: it reads the
request where it reads its other work, and leaves the answer where it leaves its other answers.
https://c2sp.org/tlog-witness
"""

from __future__ import annotations

from dataclasses import dataclass

from hansa.translog.checkpoint import natural
from hansa.translog.faults import Fault, refused
from hansa.translog.judgement import judge
from hansa.translog.merkle import check_consistency
from hansa.translog.note import Note, checked_text, encoded
from hansa.translog.policy import Policy
from hansa.translog.proof import parse_hashes


@dataclass(frozen=True, slots=True)
class WitnessRequest:
    """A checkpoint, and the proof that it continues the one the witness knows."""

    old_size: int
    proof: tuple[bytes, ...]
    checkpoint: Note

    @classmethod
    def parse(cls, body: bytes) -> WitnessRequest:
        """Read a request; raises ``Terminal``."""
        head, blank, note = checked_text(body).partition("\n\n")
        old, *hashes = head.split("\n")
        if not old.startswith("old ") or not blank:
            raise refused(Fault.MALFORMED, "a request begins with the old size, as in 'old 12'")
        size = natural(old.removeprefix("old "))
        return cls(size, parse_hashes(hashes), Note.parse(note.encode()))

    def verify(self, old_root: bytes, policy: Policy) -> None:
        """Check that the checkpoint is believed, and begins with a tree of ``old_size``; raises ``Terminal`` otherwise."""
        new = judge(self.checkpoint, policy).believed()
        check_consistency((self.old_size, old_root), (new.size, new.root), self.proof)

    def encode(self) -> bytes:
        """Return the body."""
        lines = [f"old {self.old_size}", *map(encoded, self.proof), "", ""]
        return "\n".join(lines).encode() + self.checkpoint.encode()
