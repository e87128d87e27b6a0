"""``make prove``: seeds of the simulation, faults on real servers, deliberate defects, the lock; JSON last.

What was not run in this invocation is null, with the reason under ``not_run``: nothing is made up.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tests.prove import runs
from tests.prove.defects.table import DEFECTS
from tests.prove.sensitivity import measure

SEEDS_OF = 1 << 32
Figures = dict[str, Any]
ORDER = (
    *("simulation_seeds", "site_hours", "crash_points", "plans", "escapes", "refused_by_judge"),
    *("refused_by_lock", "hostile_grants", "agent_deaths", "defects", "defects_caught"),
    *("model_operations", "violations", "stop_p99_s"),
)


def main() -> int:
    """Run the parts asked for; the exit code is 1 where anything is not as it must be."""
    asked = _arguments()
    base = asked.base if asked.base is not None else _drawn()
    figures: Figures = dict.fromkeys(ORDER)
    not_run: dict[str, str] = {}
    wrong: list[str] = []
    for name, part in PARTS.items():
        if name in asked.only:
            _add(part(asked, base), figures, not_run, wrong)
        else:
            not_run |= dict.fromkeys(FIELDS[name], f"--only without {name}")
    for line in wrong:
        print("WRONG:", line)
    figures["not_run"] = {name: why for name, why in not_run.items() if figures[name] is None}
    print(json.dumps(figures))
    return 1 if wrong else 0


def _drawn() -> int:
    return int(np.random.SeedSequence().entropy) % SEEDS_OF  # type: ignore[arg-type]  # an int, as asked


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.prove")
    parser.add_argument("--seeds", type=int, default=300, help="of the simulation")
    parser.add_argument("--base", type=int, help="first seed; drawn anew unless given")
    parser.add_argument("--workers", type=int, default=2, help="processes at a time")
    parser.add_argument("--defect", action="append", default=[], choices=DEFECTS, metavar="NAME")
    parser.add_argument("--operations", type=int, default=5000, help="of the model's comparison")
    parser.add_argument("--rounds", type=int, default=3, help="of a hub that turns")
    parser.add_argument("--seconds", type=float, default=120, help="of each such round")
    parser.add_argument("--only", nargs="+", default=[*FIELDS], choices=FIELDS, metavar="PART")
    return parser.parse_args()


def _add(found: runs.Found, figures: Figures, not_run: dict[str, str], wrong: list[str]) -> None:
    figures.update(found.figures)
    not_run.update(found.not_run)
    wrong.extend(found.wrong)


def _simulation(asked: argparse.Namespace, base: int) -> runs.Found:
    print(f"simulation: seeds {base}..{base + asked.seeds - 1}", flush=True)
    return runs.simulation(asked.seeds, base, workers=asked.workers)


def _plans(_: argparse.Namespace, base: int) -> runs.Found:
    print(f"plans: one fault at a time on real API servers, seed {base}", flush=True)
    return runs.plans(base)


def _defects(asked: argparse.Namespace, base: int) -> runs.Found:
    print(f"defects: {len(asked.defect or DEFECTS)}", flush=True)
    seen = measure(asked.defect, workers=asked.workers, base=base)
    wrong = [f"defect not seen: {name}\n{why}" for name, why in seen.missed.items()]
    counts = {"defects": len(seen.caught) + len(seen.missed), "defects_caught": len(seen.caught)}
    return runs.Found(counts, wrong=(*wrong, *seen.faults))


def _model(asked: argparse.Namespace, base: int) -> runs.Found:
    print(f"model: {asked.operations} operations, seed {base}", flush=True)
    return runs.model(asked.operations, base)


def _escapes(_: argparse.Namespace, __: int) -> runs.Found:
    print("escapes: the judge, and the second lock alone", flush=True)
    return runs.escapes()


def _hostile(asked: argparse.Namespace, base: int) -> runs.Found:
    print(f"a hub that turns: {asked.rounds} rounds of {asked.seconds:g} s", flush=True)
    return runs.hostile(asked.rounds, asked.seconds, base)


def _stopping(_: argparse.Namespace, __: int) -> runs.Found:
    print("Stopped with fifty running jobs, in five situations", flush=True)
    return runs.stopping()


FIELDS: Mapping[str, tuple[str, ...]] = {
    "simulation": ("simulation_seeds", "site_hours", "violations"),
    "plans": ("crash_points", "plans"),
    "defects": ("defects", "defects_caught"),
    "model": ("model_operations",),
    "escapes": ("escapes", "refused_by_judge", "refused_by_lock"),
    "hostile": ("hostile_grants", "agent_deaths"),
    "stopping": ("stop_p99_s",),
}
PARTS: Mapping[str, Callable[[argparse.Namespace, int], runs.Found]] = {
    "simulation": _simulation,
    "plans": _plans,
    "defects": _defects,
    "model": _model,
    "escapes": _escapes,
    "hostile": _hostile,
    "stopping": _stopping,
}

if __name__ == "__main__":
    sys.exit(main())
