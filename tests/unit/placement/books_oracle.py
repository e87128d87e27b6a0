"""What the incremental planner has booked, checked machine by machine against what there is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from hansa.placement.incremental import IncrementalPlanner
from hansa.placement.state.league import League
from hansa.placement.state.oversubscription import FULL
from hansa.placement.state.records import Held, Record

Room = tuple[int, int, int]
"""GPUs, CPU millis, bytes of memory."""


def misbooked(planner: IncrementalPlanner) -> list[str]:
    """Machines that hold more than they have, workers without a machine, counters that are off."""
    league: League = planner._league
    used: list[list[int]] = [[0, 0, 0] for _ in league.fleet.gpus]
    found: list[str] = []
    for record in league.records.values():
        for held in record.held:
            found += _misplaced(league, record, held)
            for machine, room in _taken(record, held):
                used[machine] = [a + b for a, b in zip(used[machine], room, strict=True)]
    fleet, left = league.fleet, league.supply
    cpu = left.machine_cpu.copy()
    for name in league.oversubscribed.missing:  # whose machines look full
        cell = fleet.cells_of_site[fleet.site_index[name]].start
        cpu[fleet.site_lo[cell] : fleet.site_hi[cell]] += FULL
    for name, there, free, taken in (
        ("GPUs", fleet.gpus, left.machine_gpus, [row[0] for row in used]),
        ("CPU millis", fleet.cpu, cpu, [row[1] for row in used]),
        ("memory", fleet.memory, left.machine_memory, [row[2] for row in used]),
    ):
        rows = zip(there.tolist(), free.tolist(), taken, strict=True)
        for machine, (have, spare, use) in enumerate(rows):
            if use > have or have - use != spare:
                found.append(f"machine {machine} of {have} {name}: {use} used, {spare} free")
    return [*found, *_undeclared(planner)]


def written(league: League) -> dict[str, object]:
    """All that the books say, to be compared with what they say later."""
    supply, accounts = league.supply._asdict(), league.ledger.accounts._asdict()
    columns = {**supply, **accounts, "caps": league.caps.counters.left, "why": league.why}
    columns |= {"passed over": league.passed_over, "waits": league.columns.waits}
    return {name: column.tolist() for name, column in columns.items()} | {
        "now": league.now_s,
        "preempted": [*league.preempted],
        "held room": (dict(league.held.ranks), repr(league.held.gains)),
        "oversubscribed": dict(league.oversubscribed.missing),
        "jobs": [repr(record) for record in league.records.values()],
        "in cells": [repr(league.by_cell.get(cell)) for cell in range(len(league.fleet.cells))],
    }


def _taken(record: Record, held: Held) -> Iterator[tuple[int, Room]]:
    shape = record.job.shape
    for machine, workers in zip(held.log[::2], held.log[1::2], strict=True):
        if workers:
            worker = shape.gpus, shape.cpu_millis, shape.memory_bytes
            yield machine, tuple(workers * need for need in worker)
        else:
            yield machine, (0, shape.head_cpu_millis, shape.head_memory_bytes)


def _misplaced(league: League, record: Record, held: Held) -> Iterator[str]:
    """Workers on machines of another cell, or fewer than the job holds, where there was room."""
    cell, uid = league.fleet.cells[held.cell], record.job.uid
    if league.fleet.sites[cell.site].name != held.holding.site:
        yield f"{uid} is booked at another site than {held.holding.site}"
    booked = sum(held.log[1::2])
    if held.holding.site in league.oversubscribed.missing and held.holding.since_s == league.now_s:
        yield f"{uid} starts at {held.holding.site}, which runs more than it has"
    if booked != held.holding.workers and held.holding.site not in league.oversubscribed.missing:
        yield f"{uid} has machines for {booked} of {held.holding.workers} workers"
    on = [
        machine for machine, workers in zip(held.log[::2], held.log[1::2], strict=True) if workers
    ]
    if not all(cell.lo <= machine < cell.hi for machine in on):
        yield f"{uid} has workers outside its cell"
    heads, asked = held.log[1::2].count(0), record.job.shape.heads
    if heads != asked and held.holding.site not in league.oversubscribed.missing:
        yield f"{uid} has machines for {heads} of {asked} heads"


def _undeclared(planner: IncrementalPlanner) -> Iterator[str]:
    """Machines that differ from what the sites declare."""
    fleet = planner._league.fleet
    for site in planner.snapshot().sites:
        index = fleet.site_index[site.name]
        whole = fleet.cells[fleet.cells_of_site[index].start]
        counted = Counter(
            zip(
                fleet.gpus[whole.lo : whole.hi].tolist(),
                fleet.cpu[whole.lo : whole.hi].tolist(),
                fleet.memory[whole.lo : whole.hi].tolist(),
                strict=True,
            )
        )
        declared: Counter[Room] = Counter()
        for m in site.machines:
            declared[m.gpus, m.cpu_millis, m.memory_bytes] += m.count
        if counted != declared:
            yield f"{site.name} has other machines than it says"
