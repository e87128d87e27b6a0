"""How a witness's memory begins: by a person's hand, once, or from what the others vouch for.

Both are explicit. Neither happens because a memory is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hansa.translog.checkpoint import Checkpoint
from hansa.translog.faults import Fault, refused
from hansa.translog.judgement import Window, judge
from hansa.translog.merkle import EMPTY_ROOT
from hansa.translog.note import Note, VerifierKey
from hansa.translog.policy import Policy
from hansa.translog.signatures import NoteSigner, verified


def enrolled(origin: str, signers: Sequence[NoteSigner], now_s: int, seen: Iterable[Note]) -> Note:
    """Return the memory of a witness that begins with the empty tree.

    Raises ``Terminal`` where a note that was ``seen`` carries its signature: it began before.
    """
    keys = [signer.key for signer in signers]
    for note in seen:
        if Checkpoint.parse(note.text).origin == origin and any(verified(note, keys)):
            text = (
                f"this witness has cosigned {origin} before: restore its memory, or take a new key"
            )
            raise refused(Fault.FORGOTTEN, text)
    return remembered(Note(str(Checkpoint(origin, 0, EMPTY_ROOT))), signers, now_s)


def restored(
    published: Note, policy: Policy, signers: Sequence[NoteSigner], window: Window
) -> Note:
    """Return a lost memory, taken from a checkpoint that the other witnesses vouch for.

    Its cosignatures say that it was the largest tree at their time. ``window`` has to be short, or an
    old checkpoint would do, and end now. Own signatures do not count: they are what was forgotten.

    Raises ``Terminal`` where the others alone do not meet the policy.
    """
    judgement = judge(published, policy, window)
    own = {signer.key for signer in signers}
    names = {name for name, key in policy.witnesses.items() if key in own}
    others = judgement.cosigned_s.keys() - names
    missing = policy.quorum.missing(others)
    if missing or not others:
        text = "; ".join(missing) or "the policy asks for nobody"
        raise refused(Fault.NO_QUORUM, f"without this witness: {text}")
    return remembered(published, signers, window.not_after_s)


def remembered(note: Note, signers: Sequence[NoteSigner], now_s: int) -> Note:
    """Return a checkpoint with own signatures alone below those of others: a memory."""
    own = {(signer.key.name, signer.key.id) for signer in signers}
    kept = tuple(line for line in note.signatures if (line.name, line.key_id) not in own)
    return Note(note.text, kept).signed(signer.sign(note.text, now_s) for signer in signers)


def own_lines(memory: Note, keys: Sequence[VerifierKey]) -> str:
    """Return the witness's signature lines of a memory: its answer."""
    own = {(key.name, key.id) for key in keys}
    lines = [line for line in memory.signatures if (line.name, line.key_id) in own]
    return "".join(f"{line}\n" for line in lines)
