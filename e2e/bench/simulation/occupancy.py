"""Which machine holds what: the simulated members' own truth, independent of the planner's books.

A worker sits on one machine, a gang on machines of one GPU class; machines are filled best fit
first, as a member's scheduler with a packing strategy does, or where the policy books them. A
policy that knows no machines gets a favour: where a gang fits only after workers are moved inside
the site, they are moved and counted. CPU and memory are not counted: the jobs of
the benchmarks ask for less of both, per GPU, than every machine has.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from hansa.errors import Terminal
from hansa.model.snapshot import Shape, Site

_Parts = list[tuple[int, int]]
"""(machine, GPUs) of one gang."""


@dataclass(slots=True, eq=False)
class Cell:
    """The machines of one GPU class at a site: a gang stands in one cell."""

    gpu_class: str
    gpu_memory_bytes: int
    size: list[int] = field(default_factory=list)
    free: list[int] = field(default_factory=list)
    held: dict[str, tuple[Shape, _Parts]] = field(default_factory=dict)

    def suits(self, shape: Shape) -> bool:
        """Whether the machines are of the kind that a gang asks for."""
        return self.gpu_memory_bytes >= shape.gpu_memory_bytes and (
            not shape.gpu_class or self.gpu_class == shape.gpu_class
        )

    def fits(self, shape: Shape) -> bool:
        """Whether the gang fits beside all others, workers moved where need be."""
        if sum(self.free) < shape.total_gpus:
            return False
        return _slots(self.free, shape.gpus) >= shape.workers or self._packed(shape) is not None

    def fits_without(self, shape: Shape, gone: Collection[str]) -> bool:
        """Whether the gang fits where all others but ``gone`` stay on their machines."""
        free = self.free.copy()
        for uid in gone:
            for machine, gpus in self.held[uid][1] if uid in self.held else ():
                free[machine] += gpus
        return _slots(free, shape.gpus) >= shape.workers

    def put(self, uid: str, shape: Shape, machines: _Parts) -> bool:
        """Start a gang on given machines; False when one of them has no room."""
        parts = [(machine, workers * shape.gpus) for machine, workers in machines]
        for machine, gpus in parts:
            self.free[machine] -= gpus
        self.held[uid] = (shape, parts)
        return min(self.free) >= 0

    def take(self, uid: str, shape: Shape) -> bool:
        """Start a gang that fits; True when others had to move."""
        moved = _slots(self.free, shape.gpus) < shape.workers
        if moved:
            self.free, parts = self._packed(shape) or (self.free, {})
            self.held = {other: (gang, parts[other]) for other, (gang, _) in self.held.items()}
        self.held[uid] = (shape, _fill(self.free, shape))
        return moved

    def release(self, uid: str) -> None:
        """End a gang."""
        _, parts = self.held.pop(uid)
        for machine, gpus in parts:
            self.free[machine] += gpus

    def _packed(self, newcomer: Shape) -> tuple[list[int], dict[str, _Parts]] | None:
        """First fit decreasing of all who stay on empty machines; None: no room for the newcomer.

        Sizes that divide each other, as GPUs come, are always packed when that is possible at all.
        """
        free = self.size.copy()
        hole: _Parts = []
        packed: dict[str, _Parts] = {}
        stay = [(shape.gpus, uid) for uid, (shape, _) in self.held.items()]
        for gpus, uid in sorted([*stay, (newcomer.gpus, "")], reverse=True):
            shape = self.held[uid][0] if uid else newcomer
            if _slots(free, gpus) < shape.workers:
                return None
            parts = _fill(free, shape)
            if uid:
                packed[uid] = parts
            else:
                hole = parts
        for machine, gpus in hole:
            free[machine] += gpus
        return free, packed


class Occupancy:
    """Free GPUs of every machine of every site."""

    def __init__(self, sites: Iterable[Site]) -> None:
        self._cells = {site.name: _cells(site) for site in sites}
        self._where: dict[str, tuple[str, Cell]] = {}
        self._down: set[str] = set()
        self._fits: dict[str, dict[Shape, bool]] = {name: {} for name in self._cells}
        self._ever: dict[str, dict[Shape, bool]] = {name: {} for name in self._cells}
        self.total = {name: sum(sum(c.size) for c in cells) for name, cells in self._cells.items()}
        self.free = dict(self.total)
        self.moves = 0
        """Starts that needed workers to be moved inside their site."""

    def up(self, site: str) -> bool:
        """Whether a site works."""
        return site not in self._down

    def set_up(self, site: str, *, up: bool) -> None:
        """Record an outage or its end."""
        (self._down.discard if up else self._down.add)(site)
        self._fits[site].clear()

    def fits(self, site: str, shape: Shape) -> bool:
        """Whether the whole gang could start at a site now."""
        memo = self._fits[site]
        if shape not in memo:
            memo[shape] = self.up(site) and any(
                cell.fits(shape) for cell in self._cells[site] if cell.suits(shape)
            )
        return memo[shape]

    def cells(self, site: str, shape: Shape) -> list[Cell]:
        """Where a gang could stand at a site that works, room apart."""
        return [cell for cell in self._cells[site] if cell.suits(shape)] if self.up(site) else []

    def cell_of(self, uid: str) -> Cell | None:
        """Where a job stands."""
        where = self._where.get(uid)
        return where[1] if where else None

    def could_ever_fit(self, site: str, shape: Shape) -> bool:
        """Whether the gang fits the site when that is idle."""
        memo = self._ever[site]
        if shape not in memo:
            memo[shape] = any(
                _slots(cell.size, shape.gpus) >= shape.workers
                for cell in self._cells[site]
                if cell.suits(shape)
            )
        return memo[shape]

    def take(
        self,
        uid: str,
        site: str,
        shape: Shape,
        gpu_class: str = "",
        machines: Collection[tuple[int, int]] = (),
    ) -> None:
        """Start a gang, on machines of ``gpu_class`` or of the first class that has room.

        ``machines``: on which (machine, workers); empty: wherever it fits, others moved if need be.

        Raises:
            Terminal: it runs already, or does not fit; the policy broke its contract.
        """
        if uid in self._where or not self.up(site):
            raise Terminal(f"{uid} cannot start at {site}: it runs already, or the site is down")
        cells = [c for c in self._cells[site] if c.suits(shape) and gpu_class in ("", c.gpu_class)]
        cell = next((cell for cell in cells if cell.fits(shape)), None)
        if cell is None:
            raise Terminal(f"{uid} cannot start at {site}: there is no room for it")
        if not machines:
            self.moves += cell.take(uid, shape)
        elif not cell.put(uid, shape, list(machines)):
            raise Terminal(f"{uid} cannot start at {site}: a machine has no room for it")
        self._where[uid] = (site, cell)
        self.free[site] -= shape.total_gpus
        self._fits[site].clear()

    def release(self, uid: str) -> None:
        """End a gang."""
        site, cell = self._where.pop(uid)
        self.free[site] += cell.held[uid][0].total_gpus
        cell.release(uid)
        self._fits[site].clear()

    def running_at(self, site: str) -> list[str]:
        """Jobs at a site, in a fixed order."""
        return [uid for cell in self._cells[site] for uid in cell.held]


def _fill(free: list[int], shape: Shape) -> _Parts:
    """Take the gang's GPUs from the machines, fullest first."""
    parts = []
    left = shape.workers
    for machine in sorted(range(len(free)), key=free.__getitem__):
        workers = min(left, free[machine] // shape.gpus)
        if workers:
            free[machine] -= workers * shape.gpus
            parts.append((machine, workers * shape.gpus))
            left -= workers
    return parts


def _slots(free: list[int], gpus: int) -> int:
    return sum(room // gpus for room in free)


def _cells(site: Site) -> list[Cell]:
    """Machines in the order in which the planner numbers them."""
    cells: dict[tuple[str, int], Cell] = {}
    for group in sorted(site.machines, key=lambda group: (group.gpus, group.cpu_millis)):
        if group.gpus > 0:
            key = (group.gpu_class, group.gpu_memory_bytes)
            cell = cells.setdefault(key, Cell(*key))
            cell.size += [group.gpus] * group.count
            cell.free += [group.gpus] * group.count
    return [cells[key] for key in sorted(cells)]
