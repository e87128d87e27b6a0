"""How many sites may take each mask of job classes and take work at present, counted when asked."""

from __future__ import annotations

import numpy as np

from hansa.placement.kernel.tables import Column
from hansa.placement.rules.fleet import Ints
from hansa.placement.rules.job_classes import JobClasses
from hansa.placement.state.queue_columns import run_starts


class OpenSites:
    """Remembers what it has counted until it is told to forget it."""

    def __init__(self, kinds: JobClasses, cell_site: Ints) -> None:
        self._kinds = kinds
        self._cell_site = cell_site
        self._counts: dict[int, int] = {}
        """Mask → sites."""

    def forget(self) -> None:
        """A site has opened or closed, or law has changed."""
        self._counts.clear()

    def of(self, number: int, cell_open: Column) -> int:
        """Sites for a job class."""
        mask = self._kinds.mask_of(number)
        if mask not in self._counts:
            passes = (self._kinds.codes_of(number) == 0) & (cell_open == 1)
            sites = np.bincount(self._cell_site[passes])
            self._counts[mask] = int(np.count_nonzero(sites))
        return self._counts[mask]

    def of_all(self, cell_open: Column) -> Ints:
        """Sites for each mask."""
        masks = len(self._kinds.masks)
        if len(self._counts) < masks:
            cells, counts = self._kinds.passes
            is_open = cell_open[cells] == 1
            mask = np.repeat(np.arange(masks), counts)[is_open]
            # Cells of a site follow each other, so its pairs do.
            pairs = (
                mask * (int(self._cell_site.max(initial=0)) + 1) + self._cell_site[cells[is_open]]
            )
            found = np.bincount(mask[run_starts(pairs)], minlength=masks)
            self._counts.update(enumerate(found.tolist()))
        return np.array([self._counts[mask] for mask in range(masks)], np.int64)
