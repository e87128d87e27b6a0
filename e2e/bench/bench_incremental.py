"""``make bench-incremental``: one event in, only what it changes out, a hundred thousand times.

    python -m e2e.bench.bench_incremental [--events 100000] [--instance 10k]

A full league with a queue behind it lives through arrivals, ends, outages, price and policy
changes. At ten points a full plan of the same moment shows what the events have missed. One JSON
line comes last; its fields are in ``docs/reference/benchmarks.md``.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from e2e.bench.bench_plan import SIZES
from e2e.bench.churn import Churn
from e2e.bench.phx.workload import static_snapshot
from e2e.bench.report import finish, milliseconds, say, stamp
from e2e.bench.rules import Placed, Rules
from hansa.errors import Terminal
from hansa.model.events import Event, JobArrived
from hansa.model.plan import Plan, Stop
from hansa.model.reasons import Reason
from hansa.model.snapshot import Snapshot
from hansa.placement.incremental import IncrementalPlanner
from hansa.placement.planner import plan
from hansa.placement.pricing import shadow_prices
from hansa.placement.pricing.market import market_of
from hansa.placement.state.league import League

CHECKPOINTS = 10
FORCED = frozenset(
    {
        Reason.RESIDENCY_DENIED,
        Reason.LEGAL_CONTROL_DENIED,
        Reason.NODE_CORDONED,
        Reason.NODE_UNREACHABLE,
    }
)
"""Reasons for a stop that the law or the site gives; others must be in favour of a job."""


class Run:
    """The planner under events, with every event timed and every stop accounted for."""

    def __init__(self, snapshot: Snapshot, churn: Churn) -> None:
        self.planner = IncrementalPlanner(snapshot)
        self.churn = churn
        self.times_ms: dict[str, list[float]] = {}
        self.gaining: set[str] = set()
        self.forced = 0
        self.preempted = 0
        self.needless = 0

    def fill(self, now_s: int) -> None:
        """The first full plan, not timed."""
        self._absorb(self.planner.replan(now_s), deque())

    def step(self, now_s: int) -> None:
        """One drawn event and what follows from it: stops are confirmed at once."""
        kind, events = self.churn.draw()
        queue: deque[tuple[str, Event]] = deque((kind, event) for event in events)
        while queue:
            name, event = queue.popleft()
            since = time.perf_counter()
            decided = self.planner.update([event], now_s=now_s)
            self.times_ms.setdefault(name, []).append(milliseconds(since))
            self._absorb(decided, queue)

    def _absorb(self, decided: Plan, queue: deque[tuple[str, Event]]) -> None:
        for placed in decided.placements:
            self.churn.started(placed.job_uid, placed.site)
            self.gaining.discard(placed.job_uid)
        for stop in decided.stops:
            self._judge(stop)
            if stop.workers == 0:
                queue.append(("confirm", JobArrived(self.churn.stopped(stop.job_uid))))

    def _judge(self, stop: Stop) -> None:
        """A stop has a cause in the law or the site, or a job that gains and then starts."""
        if stop.reason in FORCED:
            self.forced += 1
        elif stop.in_favour_of:
            self.preempted += 1
            self.gaining.add(stop.in_favour_of)
        else:
            self.needless += 1


def held(rules: Rules, snapshot: Snapshot) -> Placed:
    """What runs, as (job, cell, GPUs)."""
    return [
        (job, rules.index[holding.site, holding.gpu_class], holding.workers * job.shape.gpus)
        for job in snapshot.jobs
        for holding in job.holdings
        if not holding.stopping
    ]


def drift(snapshot: Snapshot) -> float:
    """Worth of what a full plan of this moment adds, as a share of what runs."""
    rules = Rules(snapshot)
    running = held(rules, snapshot)
    missed = rules.read(plan(snapshot, is_compiled=True).placements)
    value = rules.value(running)
    return (rules.value([*running, *missed]) - value) / value if value else 0.0


def main(argv: Sequence[str] | None = None) -> None:
    """Fill a league, let events happen, compare."""
    options = _parser().parse_args(argv)
    size = SIZES[options.instance]
    say(f"{size.jobs:,} jobs × {size.sites:,} sites: generating, pricing, first plan")
    snapshot = static_snapshot(
        jobs=size.jobs, sites=size.sites, gpus=size.gpus, load=options.load, seed=options.seed
    )
    churn = Churn(snapshot, seed=options.seed)
    run = Run(
        replace(snapshot, prices=shadow_prices.solve(market_of(League(snapshot))).prices), churn
    )
    run.fill(snapshot.now_s)
    drifts = []
    for number in range(1, options.events + 1):
        run.step(snapshot.now_s + number)
        if number % max(1, options.events // CHECKPOINTS) == 0:
            drifts.append(drift(run.planner.snapshot()))
            say(f"{number:,} events: drift {drifts[-1]:.3%}, {_line(run.times_ms)}")
    final = run.planner.snapshot()
    rules = Rules(final)
    wrong = rules.violations(held(rules, final))
    if wrong:
        raise Terminal(f"the state breaks rules: {wrong[:5]}")
    finish(
        _result(run, drifts)
        | {"jobs": size.jobs, "sites": size.sites, "gpus": int(rules.gpus.sum())}
        | {"violations": len(wrong), "load": options.load, **stamp(options.seed)}
    )


def _result(run: Run, drifts: Sequence[float]) -> dict[str, object]:
    every = np.concatenate([np.array(times) for times in run.times_ms.values()])
    return {
        "bench": "incremental",
        "events": len(every),
        "p50_ms": round(float(np.percentile(every, 50)), 4),
        "p99_ms": round(float(np.percentile(every, 99)), 4),
        "max_ms": round(float(every.max()), 3),
        "by_kind": {name: _figures(times) for name, times in sorted(run.times_ms.items())},
        "drift": round(max(drifts, default=0.0), 6),
        "needless_moves": run.needless + len(run.gaining),
        "stops": dict(Counter(forced=run.forced, preempted=run.preempted)),
    }


def _figures(times_ms: Sequence[float]) -> dict[str, float]:
    p50, p99 = (round(float(np.percentile(times_ms, q)), 4) for q in (50, 99))
    return {"count": len(times_ms), "p50_ms": p50, "p99_ms": p99}


def _line(times_ms: Mapping[str, Sequence[float]]) -> str:
    every = [ms for times in times_ms.values() for ms in times]
    return f"p50 {np.percentile(every, 50):.3f} ms, p99 {np.percentile(every, 99):.3f} ms"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m e2e.bench.bench_incremental", description=__doc__
    )
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--instance", default="10k", choices=list(SIZES))
    parser.add_argument(
        "--load", type=float, default=1.2, help="of the queue the league starts with"
    )
    parser.add_argument("--seed", type=int, default=1)
    return parser


if __name__ == "__main__":
    main()
