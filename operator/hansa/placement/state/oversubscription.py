"""Sites that run more than they have, as one does that shrinks: they take nothing new for a while.

Whoever has lost its machine is remembered, and gets one as soon as others end. Until all have one,
the machines of the site look full, also to work without GPUs: what the member does with pods that
have no machine is not known here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from hansa.model.snapshot import Holding, Job, Shape
from hansa.placement.kernel import packing
from hansa.placement.kernel.tables import HUGE, Supply
from hansa.placement.rules.fleet import Fleet
from hansa.placement.rules.job_classes import JobClasses, one_kind
from hansa.placement.state.records import Held, Record

FULL = HUGE >> 1
"""Taken from the CPU of every machine of such a site, so that nothing fits there."""


@dataclass
class Oversubscription:
    """Gives what is held its machines, as far as there are any."""

    fleet: Fleet
    kinds: JobClasses
    by_cell: Mapping[int, Sequence[tuple[Record, Held]]]
    """What stands in each cell."""
    missing: dict[str, int] = field(default_factory=dict)
    """Site → pods that it runs without having a machine for them."""

    def seat(self, supply: Supply, held: Held) -> None:
        """Take machines for a holding that is new in the books, as far as its site has them."""
        shape = self.kinds.kinds[held.kind].shape
        supply.cell_free[held.cell] -= held.holding.workers * shape.gpus
        name = held.holding.site
        if name in self.missing:
            self.settle(supply, name)
            return
        missing = _sit(supply, held, shape)
        if missing:
            self.missing[name] = missing
            self._look_full(supply, name, 1)

    def settle(self, supply: Supply, name: str) -> None:
        """Give room that was freed at such a site to those who run there without a machine."""
        self._look_full(supply, name, -1)
        missing = 0
        for cell in self.fleet.cells_of_site[self.fleet.site_index[name]]:
            for _, held in self.by_cell.get(cell, ()):
                missing += _sit(supply, held, self.kinds.kinds[held.kind].shape)
        del self.missing[name]
        if missing:
            self.missing[name] = missing
            self._look_full(supply, name, 1)

    def _look_full(self, supply: Supply, name: str, sign: int) -> None:
        cell = self.fleet.cells_of_site[self.fleet.site_index[name]].start
        lo, hi = self.fleet.site_lo[cell], self.fleet.site_hi[cell]
        supply.machine_cpu[lo:hi] -= sign * FULL


def _sit(supply: Supply, held: Held, shape: Shape) -> int:
    """Find machines for the workers, and for the heads, that have none; returns who is left."""
    columns = one_kind(shape)
    lacking = held.holding.workers - sum(held.log[1::2])
    supply.cell_free[held.cell] += lacking * shape.gpus
    worker, head = packing.worker_of(columns, 0), packing.head_of(columns, 0)
    left = lacking - packing.take_pods(supply, worker, held.cell, lacking, held.log)
    supply.cell_free[held.cell] -= left * shape.gpus
    headless = shape.heads - held.log[1::2].count(0)
    seated = packing.take_pods(supply, head, held.cell, headless, held.log)
    return left + headless - seated


def cell_of(fleet: Fleet, supply: Supply, job: Job, holding: Holding) -> int:
    """The cell a holding is in: as recorded, else the first of a fitting class with room."""
    cells = fleet.cells_of_site[fleet.site_index[holding.site]]
    if not job.shape.gpus or len(cells) == 1:
        return cells.start
    wish, got = job.shape, holding.gpu_class
    if got not in ("", wish.gpu_class):
        wish = replace(wish, gpu_class=got)
    alike = [at for at in cells[1:] if wish.accepts(fleet.cells[at])] or list(cells[1:])
    need = holding.workers * job.shape.gpus
    return next((at for at in alike if supply.cell_free[at] >= need), alike[0])
