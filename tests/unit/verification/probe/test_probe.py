"""The capacity probe: exact, root first. What forged other networks' probes stays here and is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hansa.verification.probe.prover import (
    Opened,
    Prover,
    Tree,
    leaf_hash,
    matrix,
    multiply,
    node_hash,
)
from hansa.verification.probe.verifier import Challenge, Refusal, judge

N, ROWS = 256, 32
ASKED = Challenge(b"seed" * 8, b"nonce" * 8, N, ROWS)
HONEST = Prover(ASKED.seed, N)


class Forger(Prover):
    """Commits to any product it likes."""

    def __init__(self, product):
        self.product = np.ascontiguousarray(product, dtype="<i4")
        self._tree = Tree([leaf_hash(row.tobytes()) for row in self.product])
        self.root = self._tree.root


def refusal(prover, asked=ASKED, opened=None, *, took_ms=1, limit_ms=1):
    opened = opened or prover.open(asked.drawn(prover.root))
    return judge(asked, prover.root, opened, took_ms=took_ms, limit_ms=limit_ms).refusal


@pytest.mark.parametrize("n", [64, 65, 100, 1_100, 2_049], ids=str)
def test_honest(n):
    asked = replace(ASKED, n=n)
    prover = Prover(asked.seed, n)
    assert prover.backend == "numpy"
    assert refusal(prover, asked) is None


def test_the_product_is_exact():
    a, b = (matrix(b"x" * 16, label, 1_100) for label in (b"A", b"B"))
    assert np.array_equal(multiply(a, b)[0], a.astype(np.int64) @ b.astype(np.int64))
    worst = np.full((1_100, 1_100), -128, np.int8)
    assert (multiply(worst, worst)[0] == 1_100 << 14).all()


@pytest.mark.parametrize("by", [1, -1])
def test_one_entry_wrong_by_one(by):
    """Whichever row it is in, and the root is the forger's own; in a row that is opened it is found."""
    product = HONEST.product.copy()
    product[:, 17] += by
    assert refusal(Forger(product)) is Refusal.WRONG_PRODUCT
    one = HONEST.product.copy()
    one[5, 17] += by
    forger = Forger(one)
    assert refusal(forger) is (Refusal.WRONG_PRODUCT if 5 in ASKED.drawn(forger.root) else None)
    for index in range(40):
        asked = replace(ASKED, nonce=b"%16d" % index)
        is_opened = 5 in asked.drawn(forger.root)
        assert (refusal(forger, asked) is Refusal.WRONG_PRODUCT) is is_opened


def hankel(generator, n):
    """``a[i, j] = f(i + j)``: what SN27 multiplied."""
    return generator.integers(-128, 128, 2 * n, dtype=np.int8)


def forge_hankel(a, b):
    """Multiply by the recurrence of Hankel matrices, n² operations: C[i+1, k+1] from C[i, k] and four ends."""
    n = len(a)
    a, b = a.astype(np.int64), b.astype(np.int64)
    c = np.empty((n, n), np.int64)
    c[0], c[:, 0] = a[0] @ b, a @ b[:, 0]
    for i in range(n - 1):
        new = np.concatenate([a[i + 1], [0]])
        c[i + 1, 1:] = c[i, :-1] - a[i, 0] * b[0, :-1] + new[n - 1] * b[n - 1, 1:]
    return c


def test_hankel_forgery():
    """The recurrence does give the product of Hankel matrices, so it is the matrices that must have no structure."""
    generator = np.random.default_rng(1)
    at = np.add.outer(np.arange(N), np.arange(N))
    a, b = hankel(generator, N)[at], hankel(generator, N)[at]
    assert np.array_equal(forge_hankel(a, b), a.astype(np.int64) @ b.astype(np.int64))
    assert refusal(Forger(forge_hankel(*ASKED.matrices))) is Refusal.WRONG_PRODUCT


def test_freivalds_bypass():
    """Computing only what is asked for after the root: the rows are right, and not what was committed."""
    forger = Forger(np.zeros((N, N)))
    a, b = ASKED.matrices
    drawn = ASKED.drawn(forger.root)
    rows = (a[list(drawn)].astype(np.int64) @ b.astype(np.int64)).astype("<i4")
    late = replace(forger.open(drawn), rows=tuple(row.tobytes() for row in rows))
    assert refusal(forger, opened=late) is Refusal.NOT_COMMITTED
    assert refusal(forger) is Refusal.WRONG_PRODUCT


def test_five_percent_skipped():
    asked = Challenge(b"s" * 16, b"n" * 16, 4_096, 128)
    skipped = set(range(0, 4_096, 20))
    roots = (b"%32d" % i for i in range(1_500))
    escaped = sum(skipped.isdisjoint(asked.drawn(root)) for root in roots)
    assert (
        escaped <= 9
    )  # 2 are expected of 1,500 (0.0013); with 100 rows it would be 9, with 10 rows 900
    assert all(len(set(asked.drawn(b"%32d" % i))) == 128 for i in range(20))


def test_rows_cannot_be_known_before_the_root_is_there():
    assert ASKED.drawn(bytes(32)) != ASKED.drawn(b"\1" + bytes(31))
    assert ASKED.drawn(bytes(32)) != replace(ASKED, nonce=b"other" * 8).drawn(bytes(32))


OPENED = HONEST.open(ASKED.drawn(HONEST.root))
BAD = {
    "a row too few": replace(OPENED, rows=OPENED.rows[1:]),
    "a path too few": replace(OPENED, paths=OPENED.paths[1:]),
    "nothing": Opened((), ()),
    "a short row": replace(OPENED, rows=(b"", *OPENED.rows[1:])),
    "a long row": replace(OPENED, rows=(OPENED.rows[0] * 2, *OPENED.rows[1:])),
    "an endless path": replace(OPENED, paths=((bytes(32),) * 10_000, *OPENED.paths[1:])),
    "half a hash": replace(OPENED, paths=((bytes(16),), *OPENED.paths[1:])),
}


@pytest.mark.parametrize("opened", BAD.values(), ids=BAD)
def test_malformed(opened):
    assert refusal(HONEST, opened=opened) is Refusal.MALFORMED


UNCOMMITTED = {
    "a short path": replace(OPENED, paths=(OPENED.paths[0][:-1], *OPENED.paths[1:])),
    "another's path": replace(OPENED, paths=(OPENED.paths[1], *OPENED.paths[1:])),
    "another row": replace(OPENED, rows=(OPENED.rows[1], *OPENED.rows[1:])),
}


@pytest.mark.parametrize("opened", UNCOMMITTED.values(), ids=UNCOMMITTED)
def test_not_committed(opened):
    assert refusal(HONEST, opened=opened) is Refusal.NOT_COMMITTED


def test_entries_that_no_product_has():
    """The largest sums there can be do not overflow, which a forger could use."""
    assert refusal(Forger(np.full((N, N), 2**31 - 1))) is Refusal.WRONG_PRODUCT
    assert refusal(Forger(np.full((N, N), -(2**31)))) is Refusal.WRONG_PRODUCT


def test_a_root_of_another_length():
    short = judge(ASKED, b"", OPENED, took_ms=1, limit_ms=1)
    assert short.refusal is Refusal.MALFORMED


def test_too_slow_by_the_verifiers_clock():
    assert refusal(HONEST, took_ms=2) is Refusal.TOO_SLOW


def test_the_tree_is_rfc_6962():
    one, two, three = (leaf_hash(bytes([i])) for i in range(3))
    assert Tree([one, two, three]).root == node_hash(node_hash(one, two), three)
    assert Tree([leaf_hash(b"")]).root.hex() == (
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    )


REFUSED = {
    "n: 63": {"n": 63},
    "n: 40000": {"n": 40_000},
    "rows: 0": {"rows": 0},
    "rows: 257": {"rows": 257},
    "16 random bytes": {"nonce": b"short"},
}


@pytest.mark.parametrize("message", REFUSED)
def test_challenges_that_prove_nothing(message):
    with pytest.raises(ValueError, match=message):
        replace(ASKED, **REFUSED[message])
