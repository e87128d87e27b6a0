"""The right edge of a growing log: all that has to be in memory to go on, whatever its size.

At each level that is the tile which is not full yet, at level 0 the entries below it as well. Everything
left of the edge is written and never read again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hansa.translog.merkle import HASH_BYTES, full_root, leaf_hash, tree_root
from hansa.translog.tiles import WIDTH, Tile, check_length, node_reader, pack, partial_tiles, unpack

FULL_BYTES = WIDTH * HASH_BYTES


class Edge:
    """What of a tree of ``size`` leaves is not in a full tile."""

    def __init__(self) -> None:
        """Begin with the empty tree."""
        self.size = 0
        self._levels: list[bytearray] = []
        self._entries: list[bytes] = []

    @classmethod
    def restored(cls, size: int, files: Mapping[str, bytes]) -> Edge:
        """Take up a tree of ``size`` from its partial tiles; the caller compares the root."""
        edge = cls()
        edge.size = size
        for tile in partial_tiles(size):
            if tile.level is None:
                edge._entries = unpack(files[tile.path])
            else:
                edge._level(tile.level)[:] = files[tile.path]
        return edge

    def append(self, entries: Sequence[bytes]) -> dict[str, bytes]:
        """Take entries in, all or none; return the files that became full, by path.

        Raises ``Terminal`` for an entry that is too long.
        """
        for entry in entries:
            check_length(entry)
        files: dict[str, bytes] = {}
        for entry in entries:
            self._entries.append(entry)
            leaves = self._level(0)
            leaves += leaf_hash(entry)
            self.size += 1
            if len(leaves) == FULL_BYTES:
                files[Tile(None, self.size // WIDTH - 1).path] = pack(self._entries)
                self._entries.clear()
                self._close(files)
        return files

    def partial(self) -> dict[str, bytes]:
        """Return the files that a checkpoint of this size needs beside the full ones, by path."""
        return {tile.path: self._body(tile) for tile in partial_tiles(self.size)}

    def root(self) -> bytes:
        """Return the root of the tree."""
        return tree_root(self.size, node_reader(self.size, self._body))

    def _level(self, level: int) -> bytearray:
        while len(self._levels) <= level:
            self._levels.append(bytearray())
        return self._levels[level]

    def _close(self, files: dict[str, bytes]) -> None:
        """Hash full tiles into the level above, as far up as they are full."""
        level = 0
        while len(self._level(level)) == FULL_BYTES:
            body = bytes(self._levels[level])
            count = self.size >> 8 * (level + 1)
            files[Tile(level, count - 1).path] = body
            self._levels[level].clear()
            self._level(level + 1).extend(full_root(body))
            level += 1

    def _body(self, tile: Tile) -> bytes:
        return pack(self._entries) if tile.level is None else bytes(self._levels[tile.level])
