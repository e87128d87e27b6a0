"""The set-off of a large league: time, share cleared, against a linear programme, in two processes."""

from __future__ import annotations

import hashlib
import os
import statistics
import subprocess
import sys
import time

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import coo_array

from e2e.bench.report import milliseconds
from hansa.accounting.settlement.clearing import Clearing, Period, clear
from hansa.accounting.settlement.set_off import Obligations, bilateral, less

REPEATS = 3
_SPREAD = 2.0
"""Sigma of the log-normal amounts: a few large debts, many small ones."""


def debts(members: int, obligations: int, seed: int) -> dict[tuple[str, str], int]:
    """Draw debts in micros between different members."""
    draw = np.random.default_rng(seed)
    found: dict[tuple[str, str], int] = {}
    while len(found) < obligations:
        debtor, creditor = (f"member-{n:03d}" for n in draw.integers(0, members, 2))
        if debtor != creditor:
            found[debtor, creditor] = int(np.exp(draw.normal(6, _SPREAD)) * 1_000_000)
    return found


def measure(members: int, obligations: int, seed: int) -> dict[str, object]:
    """Return the fields of ``clearing``."""
    owed = debts(members, obligations, seed)
    times, cpu_times, cleared = [], [], _clear(owed)
    for _ in range(REPEATS):
        since, cpu_since = time.perf_counter(), time.process_time()
        cleared = _clear(owed)
        times.append(milliseconds(since))
        cpu_times.append((time.process_time() - cpu_since) * 1000)
    arguments = (str(members), str(obligations), str(seed))
    told = {_elsewhere(arguments, hash_seed) for hash_seed in ("1", "2")}
    best = _best(owed)
    return {
        "members": members,
        "obligations": obligations,
        "ms": round(statistics.median(times), 1),
        "cpu_ms": round(statistics.median(cpu_times), 1),
        "cleared_share": round(cleared.cleared_share, 4),
        "bilateral_share": round(sum(bilateral(owed).values()) / sum(owed.values()), 4),
        "equals_lp": abs(sum(cleared.set_off.values()) - best) <= best * 1e-9,
        "identical": told == {cleared.digest},
    }


def _clear(owed: Obligations) -> Clearing:
    return clear(Period("2026-11", "EUR"), owed)


def _best(owed: Obligations) -> float:
    """The most that can be set off once two-sided debts are netted, by HiGHS."""
    first = bilateral(owed)
    rows = sorted(less(owed, first).items())
    names = {name: at for at, name in enumerate(sorted({n for pair, _ in rows for n in pair}))}
    at = [names[name] for pair, _ in rows for name in pair]
    flows = coo_array((np.tile([-1.0, 1.0], len(rows)), (at, np.repeat(np.arange(len(rows)), 2))))
    bounds = [(0, micros) for _, micros in rows]
    found = linprog(-np.ones(len(rows)), A_eq=flows, b_eq=np.zeros(len(names)), bounds=bounds)
    return sum(first.values()) - float(found.fun)


def _elsewhere(arguments: tuple[str, ...], hash_seed: str) -> str:
    command = [sys.executable, "-m", __name__, *arguments]
    env = os.environ | {"PYTHONHASHSEED": hash_seed}
    return subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    cleared = _clear(debts(*map(int, sys.argv[1:])))
    sys.stdout.write(f"sha256:{hashlib.sha256(cleared.canonical()).hexdigest()}")
