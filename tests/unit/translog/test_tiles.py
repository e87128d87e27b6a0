"""Where things lie, and that a growing edge is the tree."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hansa.errors import Terminal
from hansa.translog.log.edge import Edge
from hansa.translog.merkle import full_root, leaf_hash, node_hash, range_root, tree_root
from hansa.translog.merkle import inclusion_ranges as ranges
from hansa.translog.tiles import (
    Tile,
    check_length,
    node_reader,
    pack,
    partial_tiles,
    unpack,
)

PATHS = {
    "tile/0/000": Tile(0, 0),
    "tile/0/000.p/1": Tile(0, 0, 1),
    "tile/0/999": Tile(0, 999),
    "tile/1/x001/000": Tile(1, 1000),
    "tile/0/x001/x234/067": Tile(0, 1_234_067),
    "tile/63/x001/x234/067.p/255": Tile(63, 1_234_067, 255),
    "tile/entries/x273/112.p/7": Tile(None, 273_112, 7),
}


@pytest.mark.parametrize("path", PATHS)
def test_path(path):
    assert PATHS[path].path == path


def test_the_example_of_the_specification():
    """A tree of 70,000 has 273 full tiles and partial ones of 112, 17 and 1; one of 256, one of 1."""
    assert [tile.path for tile in partial_tiles(70_000)] == [
        "tile/0/273.p/112",
        "tile/1/001.p/17",
        "tile/2/000.p/1",
        "tile/entries/273.p/112",
    ]
    assert [tile.path for tile in partial_tiles(256)] == ["tile/1/000.p/1"]
    assert list(partial_tiles(0)) == []


def plain_root(hashes):
    if len(hashes) == 1:
        return hashes[0]
    k = 1 << (len(hashes) - 1).bit_length() - 1
    return node_hash(plain_root(hashes[:k]), plain_root(hashes[k:]))


@settings(max_examples=25, deadline=None)
@example([65_300, 200, 36])
@given(st.lists(st.integers(0, 400), min_size=1, max_size=6))
def test_an_edge_in_steps_is_the_tree_at_once(steps):
    entries = [b"%d" % number for number in range(sum(steps))]
    edge, files = Edge(), {}
    at = 0
    for step in steps:
        files |= edge.append(entries[at : at + step])
        at += step
        edge = Edge.restored(at, edge.partial())
    files |= edge.partial()
    if at == 0:
        return
    assert edge.root() == plain_root([leaf_hash(entry) for entry in entries])
    node = node_reader(at, lambda tile: files[tile.path])
    assert tree_root(at, node) == edge.root()
    bundles = [files[Tile(None, i, min(256, at - 256 * i)).path] for i in range(-(-at // 256))]
    assert [entry for bundle in bundles for entry in unpack(bundle)] == entries


def test_a_proof_of_70_000_leaves_is_read_from_few_tiles():
    """One a level where the proof keeps to the left, one more where it meets the ragged edge."""
    edge, read = Edge(), set()
    files = edge.append([b"%d" % number for number in range(70_000)]) | edge.partial()
    node = node_reader(70_000, lambda tile: read.add(tile) or files[tile.path])
    for index in (0, 255, 256, 65_535, 65_536, 69_999):
        read.clear()
        assert all(range_root(leaves, node) for leaves in ranges(index, 70_000))
        assert len(read) <= 5


def test_a_tile_of_another_length_is_named():
    node = node_reader(256, lambda _: b"\0" * 31)
    with pytest.raises(Terminal, match=r"tile/0/000 has 31 bytes"):
        node(0, 3)


def test_bundles():
    assert unpack(pack([b"", b"a", b"x" * 65_535])) == [b"", b"a", b"x" * 65_535]
    with pytest.raises(Terminal, match="65536 bytes"):
        check_length(b"x" * 65_536)
    for cut in (b"\0", b"\0\1", b"\0\1a\0"):
        with pytest.raises(Terminal, match="ends within entry"):
            unpack(cut)


def test_nothing_is_taken_in_where_one_entry_is_too_long():
    edge = Edge()
    with pytest.raises(Terminal):
        edge.append([b"good", b"x" * 65_536])
    assert edge.size == 0
    assert full_root(b"a" * 32) == b"a" * 32
