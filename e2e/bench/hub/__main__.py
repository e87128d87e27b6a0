"""``make bench-hub``: what the hub of a large league does when thousands of jobs wait for GPUs.

Real kube-apiserver and etcd, the real hub process. Members exist as objects; one process renews their
Leases and accepts what they are granted. Nothing is simulated of the hub or of its API server; the
objects it finds are written into etcd directly (``etcd.py``), because creating them takes longer than
all that is measured. One JSON line comes last.
"""

from __future__ import annotations

import argparse
import asyncio
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from e2e.bench.hub.leaders import measure_leaders
from e2e.bench.hub.naive_run import measure_naive
from e2e.bench.hub.objects import League
from e2e.bench.hub.run import Terms, measure
from e2e.bench.report import finish, say, stamp

SIZES: Mapping[str, tuple[int, int]] = {
    "1k": (1_000, 50),
    "10k": (10_000, 200),
    "50k": (50_000, 1_000),
    "2k": (2_000, 2_000),
}
"""Name → jobs, members."""


def main(argv: Sequence[str] | None = None) -> None:
    """Measure the chosen sizes, smallest first."""
    parser = argparse.ArgumentParser(prog="python -m e2e.bench.hub", description=__doc__)
    parser.add_argument("--sizes", default="1k,10k", help=f"of {', '.join(SIZES)}")
    parser.add_argument("--patience", type=float, default=900, help="s for all jobs to be told")
    parser.add_argument("--quiet", type=float, default=60, help="s watched when nothing happens")
    parser.add_argument("--logs", type=Path, help="folder in which the hub's logs are kept")
    parser.add_argument(
        "--naive", default="1k", help="size for a naive kopf operator beside it; empty: none"
    )
    parser.add_argument(
        "--leaders", type=int, default=1, help="hubs that divide the league, a pool each"
    )
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args(argv)
    names = chosen.sizes.split(",")
    naive = [chosen.naive] if chosen.naive and chosen.leaders == 1 else []
    if unknown := [name for name in (*names, *naive) if name not in SIZES]:
        parser.error(f"sizes: there is no {', '.join(unknown)}; there are: {', '.join(SIZES)}")
    if chosen.logs is not None:
        chosen.logs.mkdir(parents=True, exist_ok=True)
    found, beside = [], None
    for name in names:
        jobs, members = SIZES[name]
        say(f"{jobs:,} jobs × {members:,} members × {chosen.leaders} leaders")
        league = League(jobs, members, chosen.seed, chosen.leaders)
        if chosen.leaders > 1:
            found.append(asyncio.run(measure_leaders(league, chosen.patience)))
            continue
        terms = Terms(chosen.patience, chosen.quiet, chosen.logs and chosen.logs / f"{name}.log")
        found.append(asyncio.run(measure(league, terms)))
    for name in naive:
        jobs, members = SIZES[name]
        say(f"{jobs:,} jobs × {members:,} members, naive kopf operator")
        beside = asyncio.run(measure_naive(League(jobs, members, chosen.seed), chosen.patience))
    finish(
        {
            "bench": "hub",
            "sizes": found,
            "naive": beside,
            "slope_first_grant": slope(found, "first_grant_s"),
            "slope_all_told": slope(found, "all_told_s"),
            **stamp(chosen.seed),
        }
    )


def slope(found: Sequence[Mapping[str, object]], what: str) -> float | None:
    """Return the least-squares slope of log time against log of jobs; None for fewer than two points."""
    points = [
        (math.log(float(str(one["jobs"]))), math.log(float(str(one[what]))))
        for one in found
        if one.get(what) is not None
    ]
    if len(points) < 2:  # a line needs two points
        return None
    jobs, times = np.array(points).T
    return round(float(np.polyfit(jobs, times, 1)[0]), 3)


if __name__ == "__main__":
    main()
