"""What was decided, as data: ``League.book`` makes it true, and nothing else does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from hansa.model.plan import Placement, Plan
from hansa.model.snapshot import Shape
from hansa.placement.kernel import quota
from hansa.placement.kernel.tables import Accounts, Caps, Supply
from hansa.placement.rules.fleet import Ints
from hansa.placement.rules.job_classes import one_kind
from hansa.placement.state.held_room import HeldRoom

NO_PLAN = Plan()


class Room(NamedTuple):
    """The columns that plans use up: what is free, what each account holds, what caps still allow."""

    supply: Supply
    accounts: Accounts
    caps: Caps

    def copy(self) -> Room:
        """The same, to plan on: what the kernel writes is copied, the rest is shared."""
        supply, accounts = self.supply, self.accounts
        return Room(
            supply._replace(
                machine_gpus=supply.machine_gpus.copy(),
                machine_cpu=supply.machine_cpu.copy(),
                machine_memory=supply.machine_memory.copy(),
                cell_free=supply.cell_free.copy(),
            ),
            accounts._replace(
                used=accounts.used.copy(),
                gpus=accounts.gpus.copy(),
                cpu=accounts.cpu.copy(),
                memory=accounts.memory.copy(),
                heap_n=accounts.heap_n.copy(),
                heap_key=accounts.heap_key.copy(),
                heap_item=accounts.heap_item.copy(),
            ),
            self.caps._replace(left=self.caps.left.copy()),
        )

    def charge(self, shape: Shape, workers: int, cell: int, cap_base: int, account: int) -> None:
        """Count a gang that begins in a cell; with fewer than no workers, one that ends there.

        ``cap_base``: of its pool. ``account``: of its institution; below zero: it has none.
        """
        sign, gpus = (1 if workers > 0 else -1), workers * shape.gpus
        quota.charge_caps(self.caps, one_kind(shape, cap_base), 0, cell, gpus)
        if account < 0:
            return
        move = quota.charge_quota if workers > 0 else quota.refund_quota
        move(self.accounts, account, abs(gpus))
        cpu = workers * shape.cpu_millis + sign * shape.heads_cpu_millis
        heads = sign * shape.heads * (shape.head_memory_bytes >> 20)
        memory = workers * (shape.memory_bytes >> 20) + heads
        quota.charge_use(self.accounts, account, gpus, cpu, memory)


class Start(NamedTuple):
    """A job that starts: where, and on which machines."""

    placement: Placement
    cell: int
    log: list[int]
    """See ``records.Held``."""


@dataclass(frozen=True, slots=True)
class Decision:
    """A plan, and what the books say once it is booked."""

    plan: Plan
    starts: Sequence[Start]
    room: Room
    """What is left."""
    held: HeldRoom
    why: Ints
    """Per job class, bits WHY_*: what has stood in its way since the last full plan."""
    passed_over: Ints
    """Rows that no room has been sought for yet because others came first, in order."""
    revision: int
    """The state of the books that this was decided on."""
