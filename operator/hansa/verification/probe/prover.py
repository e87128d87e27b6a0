"""The side of a capacity probe that works: multiply, commit to all rows, then open those that are asked for.

This file is complete in itself (standard library and numpy; torch or cupy where the image has them), because it runs
inside a job's image, which knows nothing of Hansa: a probe is a small signed job whose program is this text.

``python3 probe.py SEED N GPUS`` multiplies on the run's worker and commits in its result to all rows by their tags, which
the verifier then works out anew for those that it draws.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Int8 = npt.NDArray[np.int8]
Int32 = npt.NDArray[np.int32]
EXACT_DEPTH = 1024
"""Products of int8 are at most 2^14, so sums of 2^10 of them are exact in float32 (24 bits)."""
MOST_TAGS = 2_048
"""So many fit a job's result: tags are of one byte, and travel in base64."""


def matrix(seed: bytes, label: bytes, n: int) -> Int8:
    """Return an n × n matrix of SHAKE-128: no structure that could be used instead of multiplying."""
    stream = hashlib.shake_128(label + seed).digest(n * n)
    return np.frombuffer(stream, np.int8).reshape(n, n)


def leaf_hash(row: bytes) -> bytes:
    """Return the RFC 6962 hash of a leaf."""
    return hashlib.sha256(b"\0" + row).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the RFC 6962 hash of an inner node; the prefix keeps leaves and nodes apart."""
    return hashlib.sha256(b"\1" + left + right).digest()


def multiply(a: Int8, b: Int8) -> tuple[Int32, str]:
    """Return the exact product and the backend that made it: torch, cupy or numpy, the first with a device."""
    for backend in (_torch, _cupy):
        product = backend(a, b)
        if product is not None:
            return product, backend.__name__.lstrip("_")
    return exact(a, b), "numpy"


def _torch(a: Int8, b: Int8) -> Int32 | None:
    try:
        import torch  # noqa: PLC0415 - the image may have it
    except ImportError:
        return None
    if len(a) % 8 or not torch.cuda.is_available():
        return None  # cuBLAS multiplies int8 of sizes that are multiples of 8
    left = torch.from_numpy(a.copy()).to("cuda")
    right = (
        torch.from_numpy(b.T.copy()).to("cuda").t()
    )  # the second by columns: no other layout works everywhere
    product: Int32 = torch._int_mm(left, right).cpu().numpy()  # noqa: SLF001 - torch has no public name for it
    return product


def _cupy(a: Int8, b: Int8) -> Int32 | None:
    try:
        import cupy  # noqa: PLC0415 - the image may have it

        if not cupy.cuda.is_available():
            return None
    except ImportError:
        return None
    left, right = (cupy.asarray(one).astype(cupy.int32) for one in (a, b))
    product: Int32 = cupy.asnumpy(left @ right)
    return product


def exact(a: Int8, b: Int8) -> Int32:
    """Return the product on CPUs, of any rows of ``a``."""
    total = np.zeros((a.shape[0], b.shape[1]), np.int32)
    for at in range(0, a.shape[1], EXACT_DEPTH):
        left = a[:, at : at + EXACT_DEPTH].astype(np.float32)
        total += (left @ b[at : at + EXACT_DEPTH].astype(np.float32)).astype(np.int32)
    return total


def rows_per_tag(n: int) -> int:
    """Return how many rows share a tag: one, unless there are more rows than tags."""
    return -(-n // MOST_TAGS)


def tag(rows: npt.NDArray[Any]) -> bytes:
    """Return one byte that follows from whole rows, little-endian int32: another one, but for 1 in 256, if one is wrong."""
    return leaf_hash(rows.tobytes())[:1]


def tags(product: npt.NDArray[Any]) -> bytes:
    """Return the tags of all rows of a product, in order."""
    size = rows_per_tag(len(product))
    return b"".join(tag(product[at : at + size]) for at in range(0, len(product), size))


class Tree:
    """The RFC 6962 tree over the rows, all levels kept: 2n hashes."""

    def __init__(self, leaves: list[bytes]) -> None:
        """``leaves``: hashes of the rows, in order."""
        self.levels = [leaves]
        while len(self.levels[-1]) > 1:
            below = self.levels[-1]
            pairs = [node_hash(below[i], below[i + 1]) for i in range(0, len(below) - 1, 2)]
            self.levels.append(pairs + below[len(pairs) * 2 :])

    @property
    def root(self) -> bytes:
        """The commitment."""
        return self.levels[-1][0]

    def path(self, index: int) -> list[bytes]:
        """Return the sibling hashes from a leaf to the root."""
        siblings = []
        for level in self.levels[:-1]:
            sibling = index ^ 1
            if sibling < len(level):
                siblings.append(level[sibling])
            index //= 2
        return siblings


@dataclass(frozen=True)
class Opened:
    """The answer to a challenge: rows of the product, little-endian int32, each with its path."""

    rows: tuple[bytes, ...]
    paths: tuple[tuple[bytes, ...], ...]


class Prover:
    """One probe."""

    def __init__(self, seed: bytes, n: int) -> None:
        """Multiply and commit; the time this takes is what the verifier measures."""
        product, self.backend = multiply(matrix(seed, b"A", n), matrix(seed, b"B", n))
        self.product: npt.NDArray[Any] = product.astype("<i4")
        self._tree = Tree([leaf_hash(row.tobytes()) for row in self.product])
        self.root = self._tree.root

    def open(self, rows: tuple[int, ...]) -> Opened:
        """Open the rows that the verifier drew after it had seen the root."""
        return Opened(
            tuple(self.product[row].tobytes() for row in rows),
            tuple(tuple(self._tree.path(row)) for row in rows),
        )


def commit(seed: bytes, n: int) -> dict[str, str]:
    """Multiply and return what a job commits to: the tags of all rows, in base64, and the backend."""
    product, backend = multiply(matrix(seed, b"A", n), matrix(seed, b"B", n))
    return {"backend": backend, "tags": base64.b64encode(tags(product.astype("<i4"))).decode()}


def run(seed: bytes, n: int, gpus: int) -> None:
    """Answer as a job: on the worker, where the GPUs are, into the job's result."""
    import ray  # noqa: PLC0415 - only a job's image has it

    ray.init()
    said = ray.get(ray.remote(num_gpus=gpus)(commit).remote(seed, n))
    Path(os.environ["HANSA_RESULT"]).write_text(json.dumps(said), encoding="ascii")


if __name__ == "__main__":
    run(bytes.fromhex(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
