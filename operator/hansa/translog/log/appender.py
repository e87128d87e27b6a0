"""A log that grows: entries in, checkpoints out, static files between them.

The order of writes is what keeps it whole. Full tiles and bundles are written as they fill, partial ones
before the checkpoint that needs them, the checkpoint last and in one piece: a crash at any moment leaves
the older checkpoint with all its files. What no checkpoint covers is forgotten by a crash, and whoever
appended it appends it again: an entry that is there already keeps its index.

The log never signs two trees that contradict each other. Files from an old backup would make it do so,
which the index of leaves, kept elsewhere, gives away.
"""

from __future__ import annotations

from collections.abc import Sequence

from hansa.errors import Retryable, Terminal
from hansa.ports import Clock, LeafIndex, Store
from hansa.translog.checkpoint import Checkpoint
from hansa.translog.faults import Fault, refused
from hansa.translog.judgement import Judgement, judge, signed_checkpoint
from hansa.translog.log.edge import Edge
from hansa.translog.log.prover import WITNESSED, Prover
from hansa.translog.log.reader import LogReader
from hansa.translog.merkle import leaf_hash
from hansa.translog.note import Note, parse_signatures
from hansa.translog.policy import Policy
from hansa.translog.proof import LogProof
from hansa.translog.signatures import NoteSigner
from hansa.translog.tiles import Tile, partial_tiles
from hansa.translog.witness.request import WitnessRequest

HEAD = "checkpoint"
"""The newest checkpoint, with what cosignatures came in."""
MOST_PENDING = 65_536
"""Entries taken and not published: what is remembered of them is in memory."""


class Appender:
    """The one writer of a log. Not for two threads at once, nor for two processes."""

    def __init__(
        self, store: Store, index: LeafIndex, signers: Sequence[NoteSigner], policy: Policy
    ) -> None:
        """Take up the log where its checkpoint left it.

        Args:
            store: Holds the published files.
            index: Which leaf stands where; behind the log after a crash, never before it.
            signers: The log's keys, all of one name, which is the origin; the first is Ed25519.
            policy: What the log's readers demand; it names the log's first key.

        Raises ``Terminal`` where the files do not fit the checkpoint, or are older than the index.
        """
        self._store, self._index, self._signers = store, index, tuple(signers)
        self._policy = policy
        self._reader = LogReader(store.read)
        self._prover = Prover(store.read, index.find)
        self._pending: dict[bytes, int] = {}
        """Leaf hash → index, of what is not in the index of leaves yet."""
        self._unwritten: dict[str, bytes] = {}
        if self._signers[0].key not in policy.logs:
            raise refused(Fault.UNKNOWN_LOG, f"the policy does not name the log {self.origin}")
        self._earlier = Note("")
        """A checkpoint that is no longer the newest and is cosigned still, with what came in."""
        self._head, self._edge = self._taken_up()
        self._published = self._edge.size
        self._catch_up()

    @property
    def origin(self) -> str:
        """The log's name."""
        return self._signers[0].key.name

    @property
    def head(self) -> Note:
        """The newest checkpoint, as it is published."""
        return self._head

    def append(self, entries: Sequence[bytes]) -> list[int]:
        """Return the index of each entry, taking in those that are new.

        The indexes hold as soon as a checkpoint covers them. Raises ``Terminal`` for an entry that is
        too long, ``Retryable`` where the files cannot be written or too much waits to be published.
        """
        self._settle()
        self._flush()
        hashes = [leaf_hash(entry) for entry in entries]
        known = self._index.find([each for each in hashes if each not in self._pending])
        new = {
            each: entry
            for each, entry in zip(hashes, entries, strict=True)
            if each not in known and each not in self._pending
        }
        if len(self._pending) + len(new) > MOST_PENDING:
            raise Retryable(f"{MOST_PENDING} entries at most wait to be published: publish first")
        first = self._edge.size
        self._unwritten |= self._edge.append(list(new.values()))
        self._pending |= {each: first + at for at, each in enumerate(new)}
        self._flush()
        return [known[each] if each in known else self._pending[each] for each in hashes]

    def checkpoint(self, clock: Clock) -> Note:
        """Publish what was appended; return the checkpoint, the former one where nothing was."""
        if self._edge.size != self._published or not self._head.signatures:
            self._unwritten |= self._edge.partial()
            self._flush()
            self._publish(self._signed_head(int(clock.now())))
            self._prune(self._published)
            self._published = self._edge.size
        self._settle()
        return self._head

    def request(self, old_size: int, of: Note | None = None) -> WitnessRequest:
        """Return what to ask a witness that last cosigned ``old_size`` leaves.

        ``of``: an earlier checkpoint of this log, which others are asked for still; None: the newest.
        Raises ``Terminal`` for a size that was never published.
        """
        if old_size > self._published:
            text = f"a witness knows {old_size} leaves, this log {self._published}"
            raise refused(Fault.TURNED_BACK, f"{text}: its files are from an old backup")
        note = self._head if of is None else of
        proof = self._reader.consistency(old_size, Checkpoint.parse(note.text).size)
        return WitnessRequest(old_size, proof, note)

    def cosign(self, lines: str, of: Note | None = None) -> Judgement:
        """Publish the signature lines witnesses answered with; return how the checkpoint stands.

        ``of``: as it was requested. An earlier one is published as soon as it meets the policy, which by then
        the newest seldom does: a log grows faster than its witnesses ask what is new.
        Raises ``Terminal`` where a line is no signature of the policy's witness over this checkpoint.
        """
        known = {(key.name, key.id) for key in self._policy.witnesses.values()}
        more = [s for s in parse_signatures(lines) if (s.name, s.key_id) in known]
        replaced = {(s.name, s.key_id) for s in more}
        is_newest = of is None or of.text == self._head.text
        asked = self._head if is_newest or of is None else self._earlier_as_it_stands(of)
        kept = [s for s in asked.signatures if (s.name, s.key_id) not in replaced]
        note = Note(asked.text, tuple(kept)).signed(more)
        judgement = judge(note, self._policy)
        if is_newest:
            self._publish(note)
            return judgement
        self._earlier = note
        if not judgement.missing and judgement.checkpoint.size > self._witnessed_size():
            self._store.write(WITNESSED, note.encode())
        return judgement

    def unwitnessed(self) -> Note | None:
        """Return the newest checkpoint, with the log's signatures alone, where it does not meet the policy."""
        if not self._head.signatures or not judge(self._head, self._policy).missing:
            return None
        own = {(signer.key.name, signer.key.id) for signer in self._signers}
        kept = (line for line in self._head.signatures if (line.name, line.key_id) in own)
        return Note(self._head.text, tuple(kept))

    def turned_back(self, note: Note) -> str:
        """Return what is wrong where this log once signed a larger tree than it has; empty: it did not."""
        size = Checkpoint.parse(note.text).size
        try:
            signed_checkpoint(note, tuple(signer.key for signer in self._signers))
        except Terminal:
            return ""
        if size <= self._published:
            return ""
        text = f"TurnedBack: a witness holds this log's own signature over {size} leaves, it has"
        return f"{text} {self._published}: put back the log's newest files"

    def _earlier_as_it_stands(self, of: Note) -> Note:
        return self._earlier if self._earlier.text == of.text else of

    def _witnessed_size(self) -> int:
        body = self._store.read(WITNESSED)
        return -1 if body is None else Checkpoint.parse(Note.parse(body).text).size

    def prove(self, entry: bytes) -> LogProof:
        """Return the proof that ``entry`` is logged and witnessed.

        Raises ``NotFound`` where it is not logged, ``Retryable`` where it is not witnessed yet.
        """
        return self._prover.prove(entry)

    def _taken_up(self) -> tuple[Note, Edge]:
        body = self._store.read(HEAD)
        if body is None:
            return Note(""), Edge()
        note = Note.parse(body)
        head = signed_checkpoint(note, (self._signers[0].key,))
        files = {tile.path: self._reader.tile(tile) for tile in partial_tiles(head.size)}
        edge = Edge.restored(head.size, files)
        if edge.root() != head.root:
            raise refused(Fault.BAD_PROOF, f"the log's files do not fit checkpoint {head.size}")
        return note, edge

    def _catch_up(self) -> None:
        """Tell the index of leaves what a crash kept from it."""
        known = self._index.size()
        if known > self._published:
            text = f"{known} leaves were published, the checkpoint has {self._published}"
            raise refused(Fault.TURNED_BACK, f"{text}: put back the log's newest files")
        if known < self._published:
            for first, hashes in self._reader.leaves(known, self._published):
                self._index.add(first, hashes)

    def _settle(self) -> None:
        """Hand what is published from memory to the index of leaves."""
        done = [each for each, at in self._pending.items() if at < self._published]
        if done:
            self._index.add(self._pending[done[0]], done)
            for each in done:
                del self._pending[each]

    def _flush(self) -> None:
        for path, body in list(self._unwritten.items()):
            self._store.write(path, body)
            del self._unwritten[path]

    def _signed_head(self, time_s: int) -> Note:
        text = str(Checkpoint(self.origin, self._edge.size, self._edge.root()))
        return Note(text, tuple(signer.sign(text, time_s) for signer in self._signers))

    def _publish(self, note: Note) -> None:
        self._store.write(HEAD, note.encode())
        self._head = note
        if not judge(note, self._policy).missing:
            self._store.write(WITNESSED, note.encode())

    def _prune(self, old_size: int) -> None:
        """Remove the partial files of tiles that are full by now: there is one a checkpoint."""
        still = {(tile.level, tile.index) for tile in partial_tiles(self._edge.size)}
        for tile in partial_tiles(old_size):
            if (tile.level, tile.index) not in still:
                for path in self._store.list(Tile(tile.level, tile.index).folder):
                    self._store.delete(path)
