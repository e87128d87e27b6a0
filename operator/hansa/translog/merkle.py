"""The tree of RFC 6962, section 2.1: hashes, and proofs checked against roots.

Which hashes a proof holds is a question of numbers alone: a proof is a list of ranges of leaves, each
standing for the root of the tree over them. Who has the hashes (tiles, a test) turns ranges into roots.
Checking needs no tree, so a user can do it offline.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from hansa.translog.faults import Fault, refused

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()
MOST_HASHES = 63
"""A tree has fewer than 2⁶³ leaves, so no proof is longer."""
MOST_LEAVES = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Range:
    """Leaves ``begin`` to ``end``, the latter excluded; never empty."""

    begin: int
    end: int


NodeHash = Callable[[int, int], bytes]
"""``(level, index)`` → the root over leaves ``index·2^level`` to ``(index+1)·2^level``."""


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of a leaf."""
    return hashlib.sha256(b"\0" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node."""
    return hashlib.sha256(b"\1" + left + right).digest()


def full_root(hashes: bytes) -> bytes:
    """Return the root over a power of two of hashes, given one after the other."""
    sha256 = hashlib.sha256
    while len(hashes) > HASH_BYTES:
        pairs = range(0, len(hashes), 2 * HASH_BYTES)
        hashes = b"".join(
            [sha256(b"\1" + hashes[at : at + 2 * HASH_BYTES]).digest() for at in pairs]
        )
    return hashes


def perfect_nodes(leaves: Range) -> Iterator[tuple[int, int]]:
    """Yield ``(level, index)`` of the largest perfect subtrees that fill ``leaves``, left to right.

    A range of a proof begins at a multiple of a power of two that is no smaller than the range.
    """
    begin = leaves.begin
    while begin < leaves.end:
        level = (leaves.end - begin).bit_length() - 1
        yield level, begin >> level
        begin += 1 << level


def range_root(leaves: Range, node: NodeHash) -> bytes:
    """Return the root of the tree over ``leaves`` alone."""
    hashes = [node(level, index) for level, index in perfect_nodes(leaves)]
    root = hashes.pop()
    while hashes:
        root = node_hash(hashes.pop(), root)
    return root


def tree_root(size: int, node: NodeHash) -> bytes:
    """Return the root of the tree of the first ``size`` leaves."""
    return range_root(Range(0, size), node) if size else EMPTY_ROOT


def inclusion_ranges(index: int, size: int) -> list[Range]:
    """Return what proves leaf ``index`` in a tree of ``size``, the leaf's sibling first (PATH)."""
    begin, end, path = 0, size, list[Range]()
    while end - begin > 1:
        middle = begin + _split(end - begin)
        path.append(Range(middle, end) if index < middle else Range(begin, middle))
        begin, end = (begin, middle) if index < middle else (middle, end)
    return path[::-1]


def consistency_ranges(old: int, new: int) -> list[Range]:
    """Return what proves that the tree of ``old`` leaves begins that of ``new`` (SUBPROOF)."""
    if old in (0, new):
        return []
    begin, end, proof = 0, new, list[Range]()
    while old != end:
        middle = begin + _split(end - begin)
        proof.append(Range(middle, end) if old <= middle else Range(begin, middle))
        begin, end = (begin, middle) if old <= middle else (middle, end)
    # The old tree's own root needs no proof: only what is left of it inside a larger one does.
    return [*([Range(begin, end)] if begin else []), *reversed(proof)]


def check_inclusion(
    index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes
) -> None:
    """Check that ``leaf`` (its hash) stands at ``index``; raises ``Terminal`` otherwise.

    RFC 9162, section 2.1.3.2.
    """
    if not 0 <= index < size:
        raise refused(Fault.BAD_PROOF, f"there is no leaf {index} in a tree of {size}")
    at, last, found = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise refused(Fault.BAD_PROOF, "the inclusion proof is too long")
        if at & 1 or at == last:
            found = node_hash(sibling, found)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        at, last = at >> 1, last >> 1
    if last or found != root:
        raise refused(Fault.BAD_PROOF, f"the proof does not lead from leaf {index} to the root")


def check_consistency(
    old: tuple[int, bytes], new: tuple[int, bytes], proof: Sequence[bytes]
) -> None:
    """Check that tree ``new`` (size, root) begins with tree ``old``; raises ``Terminal`` otherwise.

    RFC 9162, section 2.1.4.2, with the empty tree before every tree, as C2SP has it.
    """
    (old_size, old_root), (new_size, new_root) = old, new
    if old_size > new_size:
        raise refused(Fault.BAD_PROOF, f"a tree of {new_size} cannot begin with one of {old_size}")
    if old_size in (0, new_size):
        expected = EMPTY_ROOT if not old_size else new_root
        if proof or old_root != expected:
            raise refused(Fault.BAD_PROOF, "equal or empty trees have equal roots and no proof")
        return
    path = [old_root, *proof] if old_size & (old_size - 1) == 0 else list(proof)
    if not proof or _fold(old_size, new_size, path) != (old_root, new_root):
        raise refused(Fault.BAD_PROOF, "the proof does not lead from the old root to the new one")


def _fold(old_size: int, new_size: int, path: list[bytes]) -> tuple[bytes, bytes] | None:
    """Return both roots that ``path`` leads to, or None where its length is wrong."""
    at, last = old_size - 1, new_size - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            return None
        if at & 1 or at == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        at, last = at >> 1, last >> 1
    return None if last else (old, new)


def _split(count: int) -> int:
    """Return the largest power of two below ``count``."""
    return 1 << (count - 1).bit_length() - 1
