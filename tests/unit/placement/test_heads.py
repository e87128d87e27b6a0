"""Gangs that are more than workers and one head: GPUs on the head, and workers without GPUs beside others."""

from __future__ import annotations

import pytest

from hansa.model.snapshot import Job, Machines, Pool, Shape, Site, Snapshot
from hansa.placement.explain.room_now import obstacles
from hansa.placement.incremental import IncrementalPlanner
from hansa.placement.kernel.tables import WHY_CAPACITY

GIB = 1 << 30
CLASS = "nvidia-l40s"
SMALL = Machines(3, 0, "", 0, 4_000, 16 * GIB)


def site(*machines: Machines) -> Site:
    return Site("a", "ut", "a", "EE", frozenset({"EE"}), machines, cpu_hour_price=1_000_000)


def gpu_machines(count: int, cpu_millis: int) -> Machines:
    return Machines(count, 2, CLASS, 48 * GIB, cpu_millis, 64 * GIB)


def planned(shape: Shape, *machines: Machines) -> tuple[IncrementalPlanner, list[int]]:
    """Return the planner, and of the gang the pods without GPUs on each machine; nothing: it waits."""
    job = Job("j", "lab/j", "ut", "p", shape, 0)
    planner = IncrementalPlanner(
        Snapshot(5, (site(*machines),), (Pool("p"),), (job,)), is_compiled=False
    )
    planner.replan(5)
    held = planner.league.records["j"].held
    log = held[0].log if held else []
    return planner, [m for m, pods in zip(log[::2], log[1::2], strict=True) if not pods]


GANGS = {
    "a head beside its worker": (Shape(1, 2), [gpu_machines(1, 2_000)], 1),
    "no head of its own": (Shape(1, 2, heads=0), [gpu_machines(1, 1_000)], 0),
    "not even where one would not fit": (Shape(1, 2), [gpu_machines(1, 1_000)], None),
    "several, each on some machine": (
        Shape(1, 2, heads=4, head_cpu_millis=3_000),
        [gpu_machines(1, 4_000), SMALL],
        4,
    ),
    "several on one machine": (
        Shape(1, 2, heads=4, head_cpu_millis=1_000),
        [gpu_machines(1, 1_000), Machines(1, 0, "", 0, 4_000, 16 * GIB)],
        4,
    ),
    "one too many": (
        Shape(1, 2, heads=5, head_cpu_millis=3_000),
        [gpu_machines(1, 4_000), SMALL],
        None,
    ),
}


@pytest.mark.parametrize(("shape", "machines", "heads"), GANGS.values(), ids=GANGS)
def test_a_gang_stands_whole_or_waits(shape, machines, heads):
    planner, stand = planned(shape, *machines)
    league = planner.league
    assert len(stand) == (heads or 0)
    assert bool(league.records["j"].held) == (heads is not None)
    on = {machine: stand.count(machine) for machine in stand}
    assert all(league.supply.machine_cpu[machine] >= 0 for machine in on)


def test_a_node_with_room_for_one_head_of_several_has_none():
    planner, _ = planned(Shape(1, 2, heads=5, head_cpu_millis=3_000), gpu_machines(1, 4_000), SMALL)
    record = planner.league.records["j"]
    assert set(obstacles(planner.league, record.kind).values()) <= {WHY_CAPACITY}


def test_what_a_gang_held_is_free_again():
    shape = Shape(1, 2, heads=4, head_cpu_millis=3_000)
    planner, stand = planned(shape, gpu_machines(1, 4_000), SMALL)
    free, _ = planned(Shape(9, 2), gpu_machines(1, 4_000), SMALL)
    assert stand
    league, record = planner.league, planner.league.records["j"]
    league._release(record, record.held[0])
    assert league.supply.machine_cpu.tolist() == free.league.supply.machine_cpu.tolist()
    assert league.supply.cell_free.tolist() == free.league.supply.cell_free.tolist()


def test_all_pods_cost_cpu():
    shape = Shape(2, 0, heads=3, head_cpu_millis=1_500)
    job = Job("j", "lab/j", "ut", "p", shape, 0)
    planner = IncrementalPlanner(
        Snapshot(5, (site(SMALL),), (Pool("p"),), (job,)), is_compiled=False
    )
    [placed] = planner.replan(5).placements
    assert placed.cost_micros_per_hour == 6_500 * 1_000
