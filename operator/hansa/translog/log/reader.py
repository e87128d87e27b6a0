"""Proofs out of the files of a log: a log's own, or those that a monitor or a witness fetched."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from hansa.translog.faults import Fault, refused
from hansa.translog.merkle import (
    HASH_BYTES,
    Range,
    consistency_ranges,
    inclusion_ranges,
    range_root,
)
from hansa.translog.tiles import WIDTH, Tile, node_reader, unpack, width_of


class LogReader:
    """Reads tiles and bundles by path. What it returns is not verified: roots are the judge."""

    def __init__(self, read: Callable[[str], bytes | None]) -> None:
        """``read``: returns a file below the log's prefix, or None."""
        self._read = read

    def inclusion(self, index: int, size: int) -> tuple[bytes, ...]:
        """Return the proof that leaf ``index`` is in the tree of ``size``.

        Raises ``Terminal`` where a file is missing or has a wrong length.
        """
        return self._roots(inclusion_ranges(index, size), size)

    def consistency(self, old: int, new: int) -> tuple[bytes, ...]:
        """Return the proof that the tree of ``new`` leaves begins with that of ``old``."""
        return self._roots(consistency_ranges(old, new), new)

    def leaves(self, begin: int, size: int) -> Iterator[tuple[int, list[bytes]]]:
        """Yield the first index and the leaf hashes of each tile from that of ``begin`` on."""
        for tile in _tiles_from(begin, size, level=0):
            body = self.tile(tile)
            cuts = range(0, len(body), HASH_BYTES)
            yield tile.index * WIDTH, [body[at : at + HASH_BYTES] for at in cuts]

    def entries(self, begin: int, size: int) -> Iterator[bytes]:
        """Yield the entries of a tree of ``size`` from index ``begin`` on."""
        for tile in _tiles_from(begin, size, level=None):
            bundle = unpack(self.tile(tile))[: tile.width]
            yield from bundle[max(0, begin - tile.index * WIDTH) :]

    def tile(self, tile: Tile) -> bytes:
        """Return a tile or bundle; raises ``Terminal`` where it is missing.

        A partial one may be gone as soon as the full one is there, which begins with it.
        """
        body = self._read(tile.path)
        if body is None:
            body = self._read(Tile(tile.level, tile.index).path)
        if body is None:
            raise refused(Fault.MALFORMED, f"the log has no file {tile.path}")
        return body if tile.level is None else body[: tile.width * HASH_BYTES]

    def _roots(self, ranges: Iterable[Range], size: int) -> tuple[bytes, ...]:
        node = node_reader(size, self.tile)
        return tuple(range_root(leaves, node) for leaves in ranges)


def _tiles_from(begin: int, size: int, *, level: int | None) -> Iterator[Tile]:
    for index in range(begin // WIDTH, -(-size // WIDTH)):
        yield Tile(level, index, width_of(0, index, size))
