"""The side of a capacity probe that asks: root first, then rows at random, then one exact linear combination.

Rows are drawn from a nonce that the verifier keeps until it has judged, mixed with the root, so what is opened was
computed before; shown afterwards, the nonce lets anybody judge again. All opened rows are checked at once: for random s, ``(sᵀ A_K) B = sᵀ C_K`` over the integers, which costs one vector times one
matrix however many rows there are, and leaves no tolerance. A product that the prover supplies itself proves nothing
(PrimeIntellect-ai/gpu-challenge took ``C r`` from the worker), and structured matrices can be multiplied without a GPU
(the Hankel matrices of SN27): both are in the tests.

It proves capacity at a time, under the verifier's own clock; a relay to another machine is bounded by that time alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import numpy as np
import numpy.typing as npt

from hansa.verification.probe.prover import Int8, Opened, leaf_hash, matrix, node_hash

EXACT_BITS = 53
"""Integers below 2^53 are exact in float64."""
MIN_SIZE, MAX_SIZE, MAX_ROWS = 64, 32_768, 1_024
BLOCK_ROWS = 32
"""So few that the block stays in a cache and BLAS wakes no other threads for it: ten times less CPU."""
LEAST_RANDOM_BYTES = 16
HASH_BYTES = 32


class Refusal(StrEnum):
    """Why a probe is not passed. The strings are API."""

    MALFORMED = "Malformed"
    NOT_COMMITTED = "NotCommitted"
    """A row is not the one under the root."""
    WRONG_PRODUCT = "WrongProduct"
    TOO_SLOW = "TooSlow"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the verifier found; ``refusal`` None: passed."""

    refusal: Refusal | None
    why: str


@dataclass(frozen=True)
class Challenge:
    """What the verifier asks, with what it keeps to itself until the root is there.

    Raises:
        ValueError: a size or number of rows that cannot be probed, or too little randomness.
    """

    seed: bytes
    """Sent first; both matrices come of it."""
    nonce: bytes
    """Secret until the probe is judged: whoever knows it knows the rows and the combination."""
    n: int = 4096
    rows: int = 128

    def __post_init__(self) -> None:
        if not MIN_SIZE <= self.n <= MAX_SIZE:
            raise ValueError(f"n: {self.n}; give {MIN_SIZE} to {MAX_SIZE}")
        if not 1 <= self.rows <= min(self.n, MAX_ROWS):
            raise ValueError(f"rows: {self.rows}; give 1 to {min(self.n, MAX_ROWS)}")
        if min(len(self.seed), len(self.nonce)) < LEAST_RANDOM_BYTES:
            raise ValueError("seed, nonce: give at least 16 random bytes each")

    @cached_property
    def matrices(self) -> tuple[Int8, Int8]:
        """Both matrices, made once: before the challenge is sent, so that checking does not wait for them."""
        return matrix(self.seed, b"A", self.n), matrix(self.seed, b"B", self.n)

    def drawn(self, root: bytes, of: int | None = None) -> tuple[int, ...]:
        """Return the rows to open, distinct and in order.

        ``root``: what was committed to, whatever its form; ``of``: how many may be drawn, not given: all rows.
        """
        keys = _words(self.n if of is None else of, b"rows", self.nonce, root)
        return tuple(np.sort(np.argsort(keys, kind="stable")[: self.rows]).tolist())


def _words(count: int, *parts: bytes) -> npt.NDArray[np.uint64]:
    """Return so many random words, the same on every machine and under every version of numpy."""
    seed = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return np.frombuffer(hashlib.shake_128(seed).digest(8 * count), "<u8").astype(np.uint64)


def judge(
    challenge: Challenge, root: bytes, opened: Opened, *, took_ms: int, limit_ms: int
) -> Judgement:
    """Return whether the probe is passed.

    ``took_ms``: from the sending of the seed to the root, by the verifier's clock; ``limit_ms``: what the capacity the
    node announces needs, with what its network takes.
    """
    fault = _shape_fault(challenge, root, opened)
    if fault:
        return Judgement(Refusal.MALFORMED, fault)
    drawn = challenge.drawn(root)
    leaves = list(map(leaf_hash, opened.rows))
    for index, leaf, path in zip(drawn, leaves, opened.paths, strict=True):
        if _root_of(index, challenge.n, leaf, path) != root:
            return Judgement(Refusal.NOT_COMMITTED, f"row {index} is not under the root")
    if not _is_product(challenge, root, opened, leaves):
        return Judgement(Refusal.WRONG_PRODUCT, f"of {len(drawn)} rows not all are of the product")
    if took_ms > limit_ms:
        return Judgement(Refusal.TOO_SLOW, f"took {took_ms} ms, {limit_ms} ms were allowed")
    return Judgement(None, f"{len(drawn)} rows of {challenge.n} are exact, in {took_ms} ms")


def _shape_fault(challenge: Challenge, root: bytes, opened: Opened) -> str | None:
    depth = (challenge.n - 1).bit_length()
    if len(root) != HASH_BYTES:
        return f"root: {len(root)} bytes, 32 are needed"
    if len(opened.rows) != challenge.rows or len(opened.paths) != challenge.rows:
        return f"{len(opened.rows)} rows with {len(opened.paths)} paths, {challenge.rows} were asked for"
    if any(len(row) != 4 * challenge.n for row in opened.rows):
        return f"a row has not {4 * challenge.n} bytes"
    if any(len(path) > depth or any(len(h) != HASH_BYTES for h in path) for path in opened.paths):
        return f"a path has more than {depth} hashes, or one that is not 32 bytes"
    return None


def _root_of(index: int, size: int, leaf: bytes, path: tuple[bytes, ...]) -> bytes | None:
    """Return the root that a row's hash and its path lead to (RFC 9162 §2.1.3.2), None if the path has a wrong length."""
    found, last, rest = leaf, size - 1, list(path)
    while last:
        if index & 1 or index < last:
            if not rest:
                return None
            sibling = rest.pop(0)
            found = node_hash(sibling, found) if index & 1 else node_hash(found, sibling)
        index, last = index >> 1, last >> 1
    return None if rest else found


def _is_product(challenge: Challenge, root: bytes, opened: Opened, leaves: Sequence[bytes]) -> bool:
    """Check one random combination of all opened rows, exactly.

    Wrong rows pass with a probability of 1 in 2^20 at n = 4096 and 128 rows, of 1 in 2^14 at the largest probe. The
    coefficients are drawn when the rows are here, from what the prover does not know.
    """
    a, b = challenge.matrices
    claimed = np.stack([np.frombuffer(row, "<i4") for row in opened.rows]).astype(np.int64)
    said = hashlib.sha256(b"".join(leaves)).digest()
    most = 1 << _combination_bits(challenge.n, challenge.rows)
    words = _words(challenge.rows, b"sum", challenge.nonce, root, said)
    s = (words % np.uint64(2 * most)).astype(np.int64) - most
    combined = _times(s, a[list(challenge.drawn(root))])
    return np.array_equal(_times(combined, b), s @ claimed)


def _combination_bits(n: int, rows: int) -> int:
    """Return the bits of a coefficient, beside its sign, that keep every sum of products below 2^53.

    Sums of what is claimed, any int32, then stay within int64.
    """
    return EXACT_BITS - 1 - 14 - (n - 1).bit_length() - (rows - 1).bit_length()


def _times(vector: npt.NDArray[np.int64], b: Int8) -> npt.NDArray[np.int64]:
    """Return the exact product of a vector of integers and a matrix, by blocks that fit a cache.

    In one buffer: a new one for each block is a page fault for each page of it, and half of the CPU.
    """
    exact = vector.astype(np.float64)
    total = np.zeros(b.shape[1], np.float64)
    buffer = np.empty((BLOCK_ROWS, b.shape[1]), np.float64)
    for at in range(0, b.shape[0], BLOCK_ROWS):
        rows = b[at : at + BLOCK_ROWS]
        block = buffer[: len(rows)]
        np.copyto(block, rows)
        total += exact[at : at + BLOCK_ROWS] @ block
    return total.astype(np.int64)
