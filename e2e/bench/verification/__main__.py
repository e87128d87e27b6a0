"""``make bench-verify``: does any way to cheat earn more than honest work, and what does a probe cost?

    python -m e2e.bench.verification [--jobs 300000] [--n 4096] [--draws 30000] [--seed 1] [--processes 2]

Every strategy works the same runs; audits, verdicts and consequences are decided by the shipped code, and BOINC's rule
stands beside them. The exit status is 1 if an aim is missed; one JSON line comes last, its fields are in
``docs/reference/benchmarks.md``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from fractions import Fraction
from typing import Any

from e2e.bench.report import finish, say, stamp
from e2e.bench.verification import boinc, probing
from e2e.bench.verification.league import Decide, Tally, shipped, simulate
from e2e.bench.verification.strategies import STRATEGIES
from hansa.verification.probability import Sampling

SAMPLING = Sampling(floor=Fraction(1, 100))
HONEST_JOBS = 10_000
HONEST_SEEDS = 8
MOST_HONEST_AUDITS = 0.021
LEAST_PROBE_RATIO = 100
MOST_ESCAPES = 0.002


def main(argv: Sequence[str] | None = None) -> None:
    """Run everything, say it, and tell by the exit status whether all aims are kept."""
    options = _parser().parse_args(argv)
    say(f"probe: {options.n} x {options.n}, alone on the machine")
    probe = probing.measure(options.n, options.draws, options.seed)
    say(f"{len(STRATEGIES)} strategies, {options.jobs} runs each")
    with ProcessPoolExecutor(options.processes) as pool:
        tallies = dict(pool.map(_one, [(name, options.jobs, options.seed) for name in STRATEGIES]))
        honest = list(
            pool.map(_one, [("honest", HONEST_JOBS, options.seed + i) for i in range(HONEST_SEEDS)])
        )
    result = {
        "bench": "verify",
        **figures(tallies, [tally for _, tally in honest], options.seed),
        "probe": probe,
        **{name: value for name, value in stamp(options.seed).items() if name != "workload"},
    }
    missed = list(complaints(result))
    for complaint in missed:
        say(f"missed: {complaint}")
    finish(result)
    if missed:
        sys.exit(1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make bench-verify", description=__doc__)
    parser.add_argument("--jobs", type=int, default=300_000, help="runs of each strategy")
    parser.add_argument("--n", type=int, default=4096, help="size of the probe's matrices")
    parser.add_argument("--draws", type=int, default=30_000, help="probes whose rows are drawn")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2)
    return parser


def _one(case: tuple[str, int, int]) -> tuple[str, Tally]:
    name, jobs, seed = case
    return name, play(name, jobs, seed)


def play(name: str, jobs: int, seed: int, decide: Decide = shipped) -> Tally:
    """Return what one strategy comes to."""
    return simulate(STRATEGIES[name], jobs, seed, SAMPLING, decide)


def figures(tallies: Mapping[str, Tally], honest: Sequence[Tally], seed: int) -> dict[str, Any]:
    """Return the part of the line that is about strategies."""
    jobs = tallies["honest"].jobs
    return {
        "jobs": sum(tally.jobs for tally in tallies.values()),
        "strategies": {
            name: {
                "profit": round(tally.profit, 5),
                "faked_credited": round(tally.faked_credited / tally.jobs, 5),
                "faked_credited_once": round(tally.before_failure / tally.jobs, 5),
                "audit_rate": round(tally.audits / tally.jobs, 5),
                "failed": tally.failed,
            }
            for name, tally in tallies.items()
        },
        "honest_audit_rate": round(sum(t.audits for t in honest) / sum(t.jobs for t in honest), 5),
        "boinc": {"faked_credited": round(boinc.faked_credited(jobs, seed), 4)},
    }


def complaints(result: Mapping[str, Any]) -> Iterator[str]:
    """Yield each aim that is missed."""
    strategies = result["strategies"]
    honest = strategies["honest"]
    for name, one in strategies.items():
        if name != "honest" and one["profit"] >= honest["profit"]:
            yield f"{name} earns {one['profit']}, honest work {honest['profit']}"
    if honest["failed"]:
        yield f"honest work was failed {honest['failed']} times"
    if result["honest_audit_rate"] > MOST_HONEST_AUDITS:
        yield f"{result['honest_audit_rate']} of honest runs are audited, at most {MOST_HONEST_AUDITS}"
    probe = result.get("probe")
    if probe and probe["verify_ms"] * LEAST_PROBE_RATIO > probe["prove_ms"]:
        yield f"checking a probe takes {probe['verify_ms']} ms, proving {probe['prove_ms']} ms"
    if probe and probe["escape_5pct"] > MOST_ESCAPES:
        yield f"{probe['escape_5pct']} of probes miss 5 % of skipped rows, at most {MOST_ESCAPES}"


if __name__ == "__main__":
    main()
