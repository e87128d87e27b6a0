"""Who is kept waiting by borrowers, told by a watch that knows nothing of the planner."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from e2e.bench.simulation.occupancy import Occupancy
from e2e.bench.simulation.sharing import Queue, SharingWatch
from hansa.model.snapshot import Job, Machines, Shape, Site

GIB = 1 << 30
LOOKS = (600, 1200, 1800)
"""The first one sees nobody borrow all the while, the other two have to agree."""
FOUR, ONE, EIGHT = Shape(1, 4), Shape(1, 1), Shape(1, 8)
FOUR_A = Shape(1, 4, gpu_class="a")


@dataclass(frozen=True)
class Case:
    """Alpha may hold some GPUs and borrows, beta wants ``wants`` of its eight."""

    kept: bool
    runs: tuple[tuple[str, Shape, int], ...]
    """Of alpha, one after another: class of machines, gang, and since when."""
    wants: Shape = FOUR_A
    beta_holds: tuple[int, ...] = (0, 0, 0)
    """At each look."""
    alpha_may: int = 2
    preemptible: bool = True
    sites: tuple[str, ...] = ("s",)
    up: bool = True


CASES = {
    "a borrower where the job could be": Case(kept=True, runs=(("a", EIGHT, 0),)),
    "a part of what is borrowed is enough": Case(kept=True, runs=(("a", FOUR, 0), ("a", FOUR, 0))),
    "beside room that is held, too": Case(kept=True, runs=(("a", FOUR, 0),)),
    "who borrows machines of another class makes no room": Case(
        kept=False, runs=(("b", EIGHT, 0),)
    ),
    "nor beside one who has just begun": Case(
        kept=False, runs=(("a", EIGHT, 400), ("b", EIGHT, 0))
    ),
    "borrowers elsewhere do not use up what is too much": Case(
        kept=True,
        runs=(("b", ONE, 0), ("b", ONE, 0), ("b", EIGHT, 0), ("a", FOUR, 0)),
        wants=Shape(1, 8, gpu_class="a"),
        alpha_may=12,
    ),
    "any class will do": Case(kept=True, runs=(("a", EIGHT, 900), ("b", EIGHT, 0)), wants=FOUR),
    "too much for the machines": Case(kept=False, runs=(("a", EIGHT, 0),), wants=Shape(2, 8)),
    "who stays within the own share": Case(kept=False, runs=(("a", Shape(1, 2), 0),), wants=EIGHT),
    "too young at the look before": Case(kept=False, runs=(("a", EIGHT, 400),)),
    "not to be stopped": Case(kept=False, runs=(("a", EIGHT, 0),), preemptible=False),
    "not entitled": Case(kept=False, runs=(("a", EIGHT, 0),), beta_holds=(5, 5, 5)),
    "entitled only in the end": Case(kept=False, runs=(("a", EIGHT, 0),), beta_holds=(5, 5, 0)),
    "the law says no": Case(kept=False, runs=(("a", EIGHT, 0),), sites=()),
    "the site is down": Case(kept=False, runs=(("a", EIGHT, 0),), up=False),
}


def _kept(case: Case, job, league) -> set[str]:
    machines = tuple(
        Machines(count, 8, name, 16 * GIB, 96_000, 400 * GIB)
        for name, count in {"a": 1, "b": 2}.items()
    )
    site = Site("s", "s", "s", "EE", frozenset({"EE"}), machines)
    world = Occupancy((site,))
    watch = SharingWatch(league(site, alpha=case.alpha_may, beta=8).pools, world)
    runs: list[tuple[Job, int]] = []
    for number, (name, shape, since_s) in enumerate(case.runs):
        begun = replace(job(f"r{number}", 1, preemptible=case.preemptible), shape=shape)
        world.take(begun.uid, "s", shape, name)
        runs.append((begun, since_s))
    world.set_up("s", up=case.up)
    queue = Queue(case.wants, "beta", case.sites, {"waits": 0})
    alpha = sum(run.shape.total_gpus for run, _ in runs)
    for look_s, beta in zip(LOOKS, case.beta_holds, strict=True):
        watch.used("alpha", alpha)
        watch.used("beta", beta)
        watch.look(look_s, [queue], runs, {"alpha": alpha, "beta": beta})
    return watch.violated


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_job_is_kept_waiting_where_borrowers_could_have_left_it_their_machines(case, job, league):
    assert bool(_kept(case, job, league)) is case.kept
