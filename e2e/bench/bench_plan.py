"""``make bench-plan``: full plans of growing leagues, timed, checked, bounded, and beside peers.

    python -m e2e.bench.bench_plan [--instances 1k,10k,50k,200k] [--repeats 20] [--load 2.9]

Every plan is checked rule by rule against sets and packing that share no code with the planner
before its value is reported. One JSON line comes last; its fields are in
``docs/reference/benchmarks.md``.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from e2e.bench import exact, peers
from e2e.bench.phx.workload import static_snapshot
from e2e.bench.report import finish, milliseconds, say, stamp
from e2e.bench.rules import Rules
from hansa.errors import Terminal
from hansa.model.plan import Plan
from hansa.model.snapshot import Snapshot
from hansa.placement.kernel import run
from hansa.placement.planner import replan
from hansa.placement.pricing import shadow_prices
from hansa.placement.pricing.market import market_of
from hansa.placement.state.league import League


@dataclass(frozen=True, slots=True)
class Size:
    """One instance."""

    jobs: int
    sites: int
    gpus: int
    has_lp: bool = True
    """Whether the exact programme is solved: minutes at 50,000 jobs, out of reach beyond."""


SIZES: Mapping[str, Size] = {
    "1k": Size(1_000, 50, 2_000),
    "10k": Size(10_000, 200, 20_000),
    "50k": Size(50_000, 1_000, 100_000),
    "200k": Size(200_000, 2_000, 400_000, has_lp=False),
}
LP_SKIPPED = "not solved: the exact programme of this size does not end within the benchmark's time"


def main(argv: Sequence[str] | None = None) -> None:
    """Run the chosen instances in order of size."""
    options = _parser().parse_args(argv)
    instances: list[dict[str, object]] = []
    for name in options.instances.split(","):
        size = SIZES[name]
        if options.no_lp:
            size = replace(size, has_lp=False)
        instances += _instance(size, options)
    slope = {
        kernel: _slope([one for one in instances if one["kernel"] == kernel])
        for kernel in {str(one["kernel"]) for one in instances}
    }
    best = "numba" if "numba" in slope else "python"
    finish(
        {
            "bench": "plan",
            "instances": instances,
            "slope": slope[best],
            "slopes": slope,
            "load": options.load,
            **stamp(options.seed),
        }
    )


def _instance(size: Size, options: argparse.Namespace) -> list[dict[str, object]]:
    label = f"{size.jobs:,} jobs × {size.sites:,} sites"
    say(f"{label}: generating")
    snapshot = static_snapshot(
        jobs=size.jobs, sites=size.sites, gpus=size.gpus, load=options.load, seed=options.seed
    )
    rules = Rules(snapshot)
    for job in snapshot.jobs:
        rules.cells_for(job)
    say(f"{label}: shadow prices (the background programme)")
    since = time.perf_counter()
    priced = replace(snapshot, prices=shadow_prices.solve(market_of(League(snapshot))).prices)
    common: dict[str, object] = {
        "jobs": size.jobs,
        "sites": size.sites,
        "gpus": int(rules.gpus.sum()),
        "prices_ms": round(milliseconds(since), 1),
        "peers": _peers(rules, label),
    }
    common |= _optimum(rules, size, label)
    kernels = ["numba", "python"] if run.compiled() else ["python"]
    ours = [_ours(priced, rules, kernel, options, label) for kernel in kernels]
    return [common | one | _true_gap(common["lp_value"], one["value"]) for one in ours]


def _true_gap(optimum: object, value: object) -> dict[str, object]:
    if not isinstance(optimum, float) or not isinstance(value, float):
        return {"true_gap": None}
    return {"true_gap": round((optimum - value) / optimum, 5)}


def _ours(
    snapshot: Snapshot, rules: Rules, kernel: str, options: argparse.Namespace, label: str
) -> dict[str, object]:
    repeats = options.repeats if kernel == "numba" else max(1, options.repeats // 4)
    planned, times = _timed(
        lambda: League(snapshot),
        lambda league: replan(league, is_compiled=kernel == "numba").plan,
        repeats=repeats,
    )
    placed = rules.read(planned.placements)
    wrong = rules.violations(placed)
    if wrong:
        raise Terminal(f"the plan breaks rules: {wrong[:5]}")
    value = rules.value(placed)
    if not math.isclose(value, planned.certificate.value, rel_tol=1e-6):
        raise Terminal(f"the plan says {planned.certificate.value}, the check says {value}")
    p50, p99 = (float(np.percentile(times.plan_ms, q)) for q in (50, 99))
    say(f"{label}: {kernel}: p50 {p50:.1f} ms, p99 {p99:.1f} ms, gap {planned.certificate.gap:.2%}")
    return {
        "kernel": kernel,
        "plan_p50_ms": round(p50, 2),
        "plan_p99_ms": round(p99, 2),
        "repeats": repeats,
        "compile_ms": round(float(np.median(times.compile_ms)), 1),
        "value": round(value, 1),
        "certified_gap": round(planned.certificate.gap, 5),
        "gpus_used": sum(gpus for _, _, gpus in placed),
        "placed": len(placed),
        "violations": len(wrong),
    }


@dataclass(frozen=True, slots=True)
class _Times:
    plan_ms: list[float]
    compile_ms: list[float]


def _timed(
    compiled: Callable[[], League], planned: Callable[[League], Plan], *, repeats: int
) -> tuple[Plan, _Times]:
    """Plan ``repeats`` times from a freshly compiled league; the first, uncounted run warms up."""
    times = _Times([], [])
    result = planned(compiled())
    for _ in range(repeats):
        since = time.perf_counter()
        league = compiled()
        times.compile_ms.append(milliseconds(since))
        since = time.perf_counter()
        again = planned(league)
        times.plan_ms.append(milliseconds(since))
        if again.placements != result.placements:
            raise Terminal("the same snapshot gave two plans")
    return result, times


def _peers(rules: Rules, label: str) -> dict[str, object]:
    told: dict[str, object] = {}
    for name, peer in peers.PEERS.items():
        outcome = peers.run(rules, peer)
        value = rules.value(outcome.placed)
        wrong = rules.violations(outcome.placed)
        if wrong:
            raise Terminal(f"{name} breaks rules: {wrong[:5]}")
        say(f"{label}: {name}: value {value:,.0f} in {outcome.ms:.0f} ms")
        gpus = sum(gpus for _, _, gpus in outcome.placed)
        told[name] = {"value": round(value, 1), "ms": round(outcome.ms, 1), "gpus_used": gpus}
    return told


def _optimum(rules: Rules, size: Size, label: str) -> dict[str, object]:
    if not size.has_lp:
        return {"lp_value": None, "lp_ms": None, "lp_note": LP_SKIPPED}
    say(f"{label}: the exact programme (HiGHS)")
    optimum = exact.solve(rules)
    say(f"{label}: optimum {optimum.value:,.0f} in {optimum.ms:.0f} ms")
    return {"lp_value": round(optimum.value, 1), "lp_ms": round(optimum.ms, 1)}


def _slope(instances: Sequence[Mapping[str, object]]) -> float | None:
    """Least-squares slope of log time against log of jobs; sites and GPUs grow along."""
    points = [(float(str(x["jobs"])), float(str(x["plan_p50_ms"]))) for x in instances]
    if len(points) < 2:  # a line needs two points
        return None
    logs = np.log(np.array(points))
    return round(float(np.polyfit(logs[:, 0], logs[:, 1], 1)[0]), 3)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m e2e.bench.bench_plan", description=__doc__)
    parser.add_argument("--instances", default=",".join(SIZES), help=f"of {', '.join(SIZES)}")
    parser.add_argument("--repeats", type=int, default=20, help="timed plans; a quarter in Python")
    parser.add_argument("--load", type=float, default=2.9, help="GPUs asked for per GPU there is")
    parser.add_argument("--no-lp", action="store_true", help="skip the exact programme")
    parser.add_argument("--seed", type=int, default=1)
    return parser


if __name__ == "__main__":
    main()
