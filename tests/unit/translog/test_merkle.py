"""RFC 6962 read a second time, literally, beside what the package does with numbers."""

from __future__ import annotations

import hashlib
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hansa.errors import Terminal
from hansa.translog.merkle import (
    EMPTY_ROOT,
    check_consistency,
    check_inclusion,
    consistency_ranges,
    inclusion_ranges,
    leaf_hash,
    range_root,
    tree_root,
)

MOST = 130
LEAVES = [hashlib.sha256(b"\0%d" % number).digest() for number in range(MOST)]
"""RFC 6962, section 2.1: the hash of a leaf begins with a zero byte, that of a node with a one."""


@cache
def mth(begin, end):
    """RFC 6962, section 2.1."""
    if end == begin:
        return hashlib.sha256(b"").digest()
    if end - begin == 1:
        return LEAVES[begin]
    k = 1
    while 2 * k < end - begin:
        k *= 2
    return hashlib.sha256(b"\1" + mth(begin, begin + k) + mth(begin + k, end)).digest()


def node(level, index):
    return mth(index << level, (index + 1) << level)


def path(m, begin, end):
    """RFC 6962, section 2.1.1."""
    if end - begin == 1:
        return []
    k = 1
    while 2 * k < end - begin:
        k *= 2
    if m < k:
        return [*path(m, begin, begin + k), mth(begin + k, end)]
    return [*path(m - k, begin + k, end), mth(begin, begin + k)]


def subproof(m, begin, end, *, whole):
    """RFC 6962, section 2.1.2."""
    if m == end - begin:
        return [] if whole else [mth(begin, end)]
    k = 1
    while 2 * k < end - begin:
        k *= 2
    if m <= k:
        return [*subproof(m, begin, begin + k, whole=whole), mth(begin + k, end)]
    return [*subproof(m - k, begin + k, end, whole=False), mth(begin, begin + k)]


def inclusion(index, size):
    return [range_root(leaves, node) for leaves in inclusion_ranges(index, size)]


def consistency(old, new):
    return [range_root(leaves, node) for leaves in consistency_ranges(old, new)]


def test_roots_are_those_of_the_rfc():
    assert [tree_root(size, node) for size in range(MOST + 1)] == [
        mth(0, size) for size in range(MOST + 1)
    ]


def test_a_leaf_is_hashed_as_the_rfc_says():
    assert [leaf_hash(b"%d" % number) for number in range(MOST)] == LEAVES


def test_every_inclusion_proof_is_that_of_the_rfc_and_holds():
    for size in range(1, MOST + 1):
        for index in range(size):
            proof = inclusion(index, size)
            assert proof == path(index, 0, size)
            check_inclusion(index, size, LEAVES[index], proof, mth(0, size))


def test_every_consistency_proof_is_that_of_the_rfc_and_holds():
    for new in range(1, MOST + 1):
        for old in range(1, new + 1):
            proof = consistency(old, new)
            assert proof == subproof(old, 0, new, whole=True)
            check_consistency((old, mth(0, old)), (new, mth(0, new)), proof)


def test_the_empty_tree_begins_every_tree():
    check_consistency((0, EMPTY_ROOT), (7, mth(0, 7)), consistency(0, 7))
    check_consistency((0, EMPTY_ROOT), (0, EMPTY_ROOT), [])


def test_an_inclusion_proof_holds_for_its_leaf_index_and_size_alone():
    for size in range(1, 34):
        for index in range(size):
            proof = inclusion(index, size)
            for other in range(-1, size + 2):
                if other != index:
                    with pytest.raises(Terminal):
                        check_inclusion(other, size, LEAVES[index], proof, mth(0, size))
            for wrong in (LEAVES[index - 1] if size > 1 else b"", mth(0, size) + b"\0"):
                with pytest.raises(Terminal):
                    check_inclusion(index, size, wrong, proof, mth(0, size))


MUTATIONS = {
    "one bit": lambda proof, at, bit: [
        *proof[:at],
        (int.from_bytes(proof[at], "big") ^ 1 << bit).to_bytes(32, "big"),
        *proof[at + 1 :],
    ],
    "one less": lambda proof, at, _: proof[:at] + proof[at + 1 :],
    "one twice": lambda proof, at, _: proof[: at + 1] + proof[at:],
    "one more": lambda proof, at, bit: [*proof, LEAVES[(at + bit) % MOST]],
    "one in front": lambda proof, at, bit: [LEAVES[(at + bit) % MOST], *proof],
    "turned round": lambda proof, _, __: proof[::-1] if len(set(proof)) > 1 else [*proof, b""],
}


@pytest.mark.parametrize("mutation", MUTATIONS)
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_no_changed_proof_is_accepted(mutation, data):
    new = data.draw(st.integers(2, MOST))
    old = data.draw(st.integers(1, new - 1))
    bit = data.draw(st.integers(0, 255))
    for proof, check in (
        (
            inclusion(old, new),
            lambda proof: check_inclusion(old, new, LEAVES[old], proof, mth(0, new)),
        ),
        (
            consistency(old, new),
            lambda proof: check_consistency((old, mth(0, old)), (new, mth(0, new)), proof),
        ),
    ):
        changed = MUTATIONS[mutation](proof, data.draw(st.integers(0, len(proof) - 1)), bit)
        with pytest.raises(Terminal, match="proof"):
            check(changed)


def test_no_other_tree_is_consistent():
    for new in range(2, 20):
        for old in range(1, new):
            proof = consistency(old, new)
            with pytest.raises(Terminal):
                check_consistency((old, mth(1, old + 1)), (new, mth(0, new)), proof)
            with pytest.raises(Terminal):
                check_consistency((old, mth(0, old)), (new, mth(1, new + 1)), proof)
            with pytest.raises(Terminal):
                check_consistency((new, mth(0, new)), (old, mth(0, old)), proof)
