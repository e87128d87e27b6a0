"""What was decided, as data: ``League.book`` makes it true, and nothing else does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from hansa.model.plan import Placement, Plan
from hansa.placement.kernel.tables import Accounts, Caps, Supply
from hansa.placement.rules.fleet import Ints
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
