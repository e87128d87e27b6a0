"""The league's machines as flat columns: sites, their cells, the machines of each cell.

A *cell* is what a gang is put into: the machines of one GPU class (and GPU memory) at one site, or
all machines of a site for work without GPUs. Machines of a site are contiguous, those without GPUs
first, so a cell is a range.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hansa.model.plan import Notice
from hansa.model.reasons import Reason
from hansa.model.snapshot import Machines, Site
from hansa.placement.kernel.tables import HUGE

Ints = npt.NDArray[np.int64]

MAX_SITE_MACHINES = 1 << 16
"""More machines than this at one site are not counted: no hall is that large."""
SITE_KIND = "SovereignNode"


@dataclass(frozen=True, slots=True)
class Cell:
    """One place for gangs."""

    site: int
    gpu_class: str
    gpu_memory_bytes: int
    lo: int
    hi: int
    lent: int
    price: int
    """Millionths of the currency for a GPU-hour, or for a CPU-hour in a cell without GPUs."""
    is_priceable: bool

    @property
    def has_gpus(self) -> bool:
        """False: the cell is a whole site, for work without GPUs."""
        return self.lent != HUGE

    @property
    def vendor(self) -> str:
        """Who makes the GPUs."""
        return vendor_of(self.gpu_class)


@dataclass(frozen=True, slots=True)
class Fleet:
    """All sites, compiled. Immutable: what is free is kept elsewhere."""

    sites: tuple[Site, ...]
    site_index: dict[str, int]
    cells: tuple[Cell, ...]
    cells_of_site: tuple[range, ...]
    gpus: Ints
    """Per machine."""
    cpu: Ints
    memory: Ints
    lo: Ints
    """Per cell: first machine."""
    hi: Ints
    site_lo: Ints
    site_hi: Ints
    site_cell: Ints
    """Per site: its first cell."""
    cell_site: Ints
    lent: Ints
    """Per cell: GPUs that exist and are lent; HUGE in cells without GPUs."""
    price: Ints
    is_open: Ints
    notices: tuple[Notice, ...]

    @property
    def has_gpus(self) -> npt.NDArray[np.bool_]:
        """Per cell."""
        return np.asarray(self.lent != HUGE)

    def cells_at(self, sites: Iterable[Site]) -> list[int]:
        """All cells of some sites."""
        return [at for site in sites for at in self.cells_of_site[self.site_index[site.name]]]


def compile_fleet(sites: tuple[Site, ...]) -> Fleet:
    """Lay out the machines of all sites, by name. A site named twice counts once, as first given."""
    named = {site.name: site for site in reversed(sites)}
    unique = tuple(named[name] for name in sorted(named))
    cells: list[Cell] = []
    rows: list[tuple[int, int, int, int]] = []
    ranges: list[range] = []
    notices: list[Notice] = []
    total = 0
    for index, site in enumerate(unique):
        groups, faults = _sane_groups(site)
        notices += faults
        first_cell, first = len(cells), total
        rows += [(g.count, g.gpus, g.cpu_millis, g.memory_bytes) for g in groups]
        total += sum(group.count for group in groups)
        whole = Cell(index, "", 0, first, total, HUGE, *sane_price(site.cpu_hour_price))
        cells += (whole, *_gpu_cells(site, index, groups, first))
        ranges.append(range(first_cell, len(cells)))
        notices += [_bad_price(site, c.gpu_class) for c in cells[first_cell:] if not c.is_priceable]
    table = np.array(rows, np.int64).reshape(-1, 4)
    return _fleet(unique, cells, ranges, np.repeat(table[:, 1:], table[:, 0], axis=0), notices)


def _fleet(
    sites: tuple[Site, ...],
    cells: list[Cell],
    ranges: list[range],
    machines: Ints,
    notices: list[Notice],
) -> Fleet:
    def column(values: Iterable[int]) -> Ints:
        return np.fromiter(values, np.int64, len(cells))

    whole = [cells[ranges[cell.site].start] for cell in cells]
    return Fleet(
        sites=sites,
        site_index={site.name: index for index, site in enumerate(sites)},
        cells=tuple(cells),
        cells_of_site=tuple(ranges),
        gpus=machines[:, 0].copy(),
        cpu=machines[:, 1].copy(),
        memory=machines[:, 2].copy(),
        lo=column(cell.lo for cell in cells),
        hi=column(cell.hi for cell in cells),
        site_lo=column(cell.lo for cell in whole),
        site_hi=column(cell.hi for cell in whole),
        site_cell=np.array([cells.start for cells in ranges], np.int64),
        cell_site=column(cell.site for cell in cells),
        lent=column(cell.lent for cell in cells),
        price=column(cell.price for cell in cells),
        is_open=column(int(is_open(sites[cell.site])) for cell in cells),
        notices=tuple(notices),
    )


def vendor_of(gpu_class: str) -> str:
    """Who makes a class of GPU: what stands before its first dash."""
    return gpu_class.partition("-")[0]


def is_open(site: Site) -> bool:
    """Whether a site takes new work."""
    return site.unavailable is None and not site.draining


def _gpu_cells(site: Site, index: int, groups: list[Machines], first: int) -> Iterator[Cell]:
    at = first
    left = dict(site.lent_gpus)
    for place, group in enumerate(groups):
        key = (group.gpu_class, group.gpu_memory_bytes)
        is_last = place + 1 == len(groups) or _key(groups[place + 1]) != key
        at += group.count
        if group.gpus == 0 or not is_last:
            continue
        alike = [g for g in groups if g.gpus and _key(g) == key]
        exist = sum(g.count * g.gpus for g in alike)
        lent = max(0, min(exist, left.get(group.gpu_class, exist)))
        if group.gpu_class in left:
            left[group.gpu_class] -= lent
        lo = at - sum(g.count for g in alike)
        price = sane_price(site.gpu_hour_price.get(group.gpu_class, 0))
        yield Cell(index, *key, lo, at, lent, *price)


def _key(group: Machines) -> tuple[str, int]:
    return group.gpu_class, group.gpu_memory_bytes


def _sane_groups(site: Site) -> tuple[list[Machines], list[Notice]]:
    """The groups that make sense, in layout order; those without GPUs first."""
    sane: list[Machines] = []
    notices: list[Notice] = []
    room = MAX_SITE_MACHINES
    for group in site.machines:
        sizes = (group.count, group.gpus, group.cpu_millis, group.memory_bytes)
        if min(sizes) < 0 or max(sizes) >= HUGE:
            message = f"machines of {max(0, group.gpus)} × {group.gpu_class or 'no GPU'} have an impossible size; not counted until the node reports a possible one"
            notices.append(Notice(SITE_KIND, site.name, Reason.MISCONFIGURED, message))
        elif group.count > room:
            message = f"more than {MAX_SITE_MACHINES} machines; the rest is not counted: make it several nodes"
            notices.append(Notice(SITE_KIND, site.name, Reason.MISCONFIGURED, message))
        else:
            room -= group.count
            sane.append(group)
    sane.sort(key=lambda g: (g.gpus > 0, g.gpu_class, g.gpu_memory_bytes, g.gpus, g.cpu_millis))
    return sane, notices


def sane_price(price: float) -> tuple[int, bool]:
    """A price as an integer, and whether it is one."""
    is_sane = math.isfinite(price) and 0 <= price < HUGE
    return (int(price) if is_sane else 0), is_sane


def _bad_price(site: Site, gpu_class: str) -> Notice:
    what = gpu_class or "CPU"
    message = f"the price of {what} is not a non-negative number; {what} takes no work until it is corrected"
    return Notice(SITE_KIND, site.name, Reason.MISCONFIGURED, message)


def range_sums(values: Ints, lo: Ints, hi: Ints) -> Ints:
    """Return the sum of ``values[lo:hi]`` for each pair of bounds."""
    sums = np.concatenate(([0], np.cumsum(values)))
    return np.asarray(sums[hi] - sums[lo], np.int64)
