"""C2SP tlog-tiles: where the hashes and entries of a log lie as static files.

A tile is 256 hashes of one level, a bundle the 256 entries below a tile of level 0. What is not full yet
is *partial* and has its width in its name, so that a path names the same bytes for ever.
https://c2sp.org/tlog-tiles
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from hansa.translog.faults import Fault, refused
from hansa.translog.merkle import HASH_BYTES, NodeHash, full_root

WIDTH = 256
HEIGHT = 8
"""Levels of the tree that a tile spans."""
MOST_ENTRY_BYTES = 2**16 - 1
ENTRIES = "entries"


@dataclass(frozen=True, slots=True, order=True)
class Tile:
    """One file: tile ``index`` of ``level``, or the bundle of entries when ``level`` is None."""

    level: int | None
    index: int
    width: int = WIDTH
    """Hashes or entries in it, 1 to 256."""

    @property
    def folder(self) -> str:
        """Where its partial versions lie: the path of the full one with ``.p``."""
        return f"{self._full_path}.p"

    @property
    def path(self) -> str:
        """The path below the log's prefix."""
        partial = f".p/{self.width}" if self.width < WIDTH else ""
        return self._full_path + partial

    @property
    def _full_path(self) -> str:
        digits = f"{self.index:03d}"
        digits = digits.zfill(-(-len(digits) // 3) * 3)
        parts = [digits[at : at + 3] for at in range(0, len(digits), 3)]
        level = ENTRIES if self.level is None else self.level
        return f"tile/{level}/" + "/".join([*(f"x{part}" for part in parts[:-1]), parts[-1]])


def width_of(level: int, index: int, size: int) -> int:
    """Return how many hashes tile ``index`` of ``level`` has in a tree of ``size``, 0 to 256."""
    return max(0, min(WIDTH, (size >> HEIGHT * level) - index * WIDTH))


def partial_tiles(size: int) -> Iterator[Tile]:
    """Yield the partial tiles of a tree of ``size``, the partial bundle last."""
    level = 0
    while count := size >> HEIGHT * level:
        if width := count % WIDTH:
            yield Tile(level, count // WIDTH, width)
        level += 1
    if width := size % WIDTH:
        yield Tile(None, size // WIDTH, width)


def node_reader(size: int, read: Callable[[Tile], bytes]) -> NodeHash:
    """Return how to find the nodes of a tree of ``size`` in tiles.

    Raises ``Terminal`` for a tile of the wrong length.
    """

    def node(level: int, index: int) -> bytes:
        tile, within = _tile_of(level, index, size)
        body = read(tile)
        if len(body) != tile.width * HASH_BYTES:
            raise refused(Fault.MALFORMED, f"{tile.path} has {len(body)} bytes")
        span = HASH_BYTES << level % HEIGHT
        return full_root(body[within * span : (within + 1) * span])

    return node


def _tile_of(level: int, index: int, size: int) -> tuple[Tile, int]:
    """Return the tile that holds a node, and which of the tile's subtrees of that height it is."""
    tile_level, height = divmod(level, HEIGHT)
    a_tile = WIDTH >> height
    at, within = divmod(index, a_tile)
    return Tile(tile_level, at, width_of(tile_level, at, size)), within


def pack(entries: Iterable[bytes]) -> bytes:
    """Return a bundle of entries that ``check_length`` let pass."""
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def check_length(entry: bytes) -> None:
    """Refuse an entry that is too long for a bundle; raises ``Terminal``."""
    if len(entry) > MOST_ENTRY_BYTES:
        text = f"an entry of {len(entry)} bytes; a log takes {MOST_ENTRY_BYTES} at most"
        raise refused(Fault.MALFORMED, text)


def unpack(bundle: bytes) -> list[bytes]:
    """Return the entries of a bundle; raises ``Terminal`` where it is cut."""
    entries, at = list[bytes](), 0
    while at < len(bundle):
        end = at + 2 + int.from_bytes(bundle[at : at + 2], "big")
        if end > len(bundle) or at + 2 > len(bundle):
            raise refused(Fault.MALFORMED, f"the bundle ends within entry {len(entries)}")
        entries.append(bundle[at + 2 : end])
        at = end
    return entries
