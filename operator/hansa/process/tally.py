"""How many objects there are of each sort, counted on: a scrape must not look at fifty thousand of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from typing import Generic, TypeVar

MOST_KNOWN = 4096

Sort = TypeVar("Sort", bound=Hashable)


class Tally(Generic[Sort]):
    """Objects by sort. An object counts once for each sort that it is of, as last told."""

    def __init__(self) -> None:
        """Nothing is there."""
        self._counts: Counter[Sort] = Counter()
        self._of: dict[str, tuple[Sort, ...]] = {}
        self._known: dict[tuple[Sort, ...], tuple[Sort, ...]] = {}

    @property
    def counts(self) -> Mapping[Sort, int]:
        """Sort → objects; no sort of which there are none."""
        return self._counts

    def tell(self, key: str, sorts: Iterable[Sort]) -> None:
        """Note what an object is of now; of nothing where it is gone."""
        before, now = self._of.get(key, ()), tuple(sorts)
        if now == before:
            return
        for sort in before:
            self._counts[sort] -= 1
            if not self._counts[sort]:
                del self._counts[sort]
        for sort in now:
            self._counts[sort] += 1
        if now:
            self._of[key] = self._shared(now)
        else:
            del self._of[key]

    def _shared(self, sorts: tuple[Sort, ...]) -> tuple[Sort, ...]:
        """Return equal sorts as one value: most objects are of the same few."""
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        return self._known.setdefault(sorts, sorts)
