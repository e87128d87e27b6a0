"""A job as the planner keeps it, and the room that each of its holdings takes."""

from __future__ import annotations

from dataclasses import dataclass, field

from hansa.model.plan import Stop
from hansa.model.snapshot import Holding, Job, Yielded
from hansa.placement.rules.fleet import Fleet
from hansa.placement.rules.residency import Fault


@dataclass(slots=True)
class Held:
    """Room that a holding takes: pairs (machine, pods) of its cell; 0 pods is the head."""

    holding: Holding
    kind: int
    cell: int
    log: list[int] = field(default_factory=list)
    slot: int = -1
    """Row in ``HoldingColumns``; -1 while it is not booked."""


@dataclass(slots=True)
class Record:
    """A job, its account, and what it holds."""

    job: Job
    kind: int = -1
    """Its class; -1 while it has none."""
    leaf: int = -1
    fault: Fault | None = None
    """Why it cannot be planned at all, whatever is free."""
    held: list[Held] = field(default_factory=list)
    row: int = -1
    """Row in the columns of waiting jobs; -1 while it does not wait."""


def yielded_by(victim: Record, stop: Stop, fleet: Fleet, now_s: int) -> Yielded:
    """The victim's record of a stop that is made now."""
    there = (held.cell for held in victim.held if held.holding.site == stop.site)
    name = next((fleet.cells[cell].gpu_class for cell in there), "")
    return Yielded(stop.in_favour_of, stop.site, now_s, name)
