"""``make bench-trace``: 109 days of Philly in virtual time, Hansa's planner against textbook rules.

    python -m e2e.bench.bench_trace [--csv FILE] [--plots DIR] [--loads 0.9,1.5] [--jobs N]

The trace is fed at two loads to every policy; outages come from the seed. One JSON line comes last;
its fields are in ``docs/reference/benchmarks.md``.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from e2e.bench.phx.traces import PHILLY, read_demand
from e2e.bench.phx.workload import trace_scenario
from e2e.bench.plots import draw
from e2e.bench.report import finish, say, stamp
from e2e.bench.simulation.baselines import BestEffortFifo, Easy, FairShare, Fifo
from e2e.bench.simulation.engine import simulate
from e2e.bench.simulation.league import LeaguePolicy
from e2e.bench.simulation.occupancy import Occupancy
from e2e.bench.simulation.policy import Policy
from e2e.bench.simulation.summary import series, summarise
from hansa.model.snapshot import Snapshot

POLICIES: Mapping[str, Callable[[Snapshot, Occupancy], Policy]] = {
    "hansa": lambda snapshot, _: LeaguePolicy(snapshot),
    "fifo": Fifo,
    "fifo_best_effort": BestEffortFifo,
    "easy": Easy,
    "fair_share": FairShare,
}


@dataclass(frozen=True, slots=True)
class Task:
    """One policy at one load."""

    policy: str
    load: float
    seed: int
    csv: Path
    jobs: int | None


@dataclass(frozen=True, slots=True)
class Finished:
    """What came of it."""

    task: Task
    figures: Mapping[str, object]
    series: Mapping[str, Sequence[float]]
    wall_s: float


def run(task: Task) -> Finished:
    """Simulate one policy at one load."""
    since = time.perf_counter()
    demand = read_demand(task.csv)
    if task.jobs is not None:
        demand = demand.take(np.arange(min(task.jobs, len(demand))))
    scenario, facts = trace_scenario(load=task.load, seed=task.seed, demand=demand)
    world = Occupancy(scenario.snapshot.sites)
    record = simulate(scenario, POLICIES[task.policy](scenario.snapshot, world), world=world)
    wall_s = time.perf_counter() - since
    figures = summarise(record).as_json() | facts | {"wall_s": round(wall_s, 1)}
    return Finished(task, figures, series(record), wall_s)


def main(argv: Sequence[str] | None = None) -> None:
    """Run every policy at every load, as many at once as there are cores."""
    options = _parser().parse_args(argv)
    loads = [float(load) for load in options.loads.split(",")]
    tasks = [
        Task(policy, load, options.seed, options.csv, options.jobs)
        for load in sorted(loads, reverse=True)
        for policy in options.policies.split(",")
    ]
    done: list[Finished] = []
    with ProcessPoolExecutor(max_workers=options.processes) as pool:
        for future in as_completed([pool.submit(run, task) for task in tasks]):
            done.append(future.result())
            _tell(done[-1], len(done), len(tasks))
    runs = [_at(load, done) for load in loads]
    if options.plots:
        for load in loads:
            of_load = {f.task.policy: f.series for f in done if f.task.load == load}
            for path in draw(of_load, options.plots, title=f"load {load}"):
                say(f"wrote {path}")
    finish({"bench": "trace", **runs[0], "loads": runs, **stamp(options.seed)})


def _at(load: float, done: Sequence[Finished]) -> dict[str, object]:
    figures = {f.task.policy: f.figures for f in done if f.task.load == load}
    return {"load": load, "policies": dict(sorted(figures.items()))}


def _tell(finished: Finished, count: int, total: int) -> None:
    figures = finished.figures
    say(
        f"[{count}/{total}] {finished.task.policy} at {finished.task.load}: "
        f"mean completion {figures['mean_jct_s']} s, mean wait {figures['mean_wait_s']} s, "
        f"sharing violations {figures['sharing_violations']} ({finished.wall_s:.0f} s)"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m e2e.bench.bench_trace", description=__doc__)
    parser.add_argument("--csv", type=Path, default=PHILLY, help="gap_s,duration_s,gpus,cluster")
    parser.add_argument("--plots", type=Path, help="folder for PNG and SVG files")
    parser.add_argument("--loads", default="0.9,1.5", help="first one is repeated at the top")
    parser.add_argument("--policies", default=",".join(POLICIES))
    parser.add_argument("--jobs", type=int, help="only the first N jobs")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    return parser


if __name__ == "__main__":
    main()
