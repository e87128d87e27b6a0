"""``make prove``: seeds of the simulation, faults on real servers, deliberate defects, the lock; JSON last.

What was not run in this invocation is null, with the reason under ``not_run``: nothing is made up. What was
asked for and is null is wrong.
"""

from __future__ import annotations

import argparse
import functools
import json
import operator
import sys
import traceback
from collections.abc import Callable, Mapping
from typing import Any

from tests.prove import runs
from tests.prove.defects.table import DEFECTS
from tests.prove.sensitivity import measure
from tests.seeds import drawn

ORDER = (
    *("simulation_seeds", "site_hours", "crash_points", "plans", "escapes", "refused_by_judge"),
    *("refused_by_judge_as_a_field", "refused_by_lock", "hostile_grants", "agent_deaths"),
    *("defects", "defects_caught", "model_operations", "violations", "stop_p99_s"),
)


def main() -> int:
    """Run the parts asked for; the exit code is 1 where anything is not as it must be."""
    asked = _arguments()
    base = asked.base if asked.base is not None else drawn()
    found = {name: _run(name, asked, base) for name in PARTS if name in asked.only}
    figures: dict[str, Any] = {name: _figure(name, found) for name in ORDER}
    wrong = [line for one in found.values() for line in one.wrong]
    for line in wrong:
        print("WRONG:", line)
    figures["not_run"] = {name: _why_not(name, found) for name in ORDER if figures[name] is None}
    print(json.dumps(figures))
    return 1 if wrong else 0


def _run(name: str, asked: argparse.Namespace, base: int) -> runs.Found:
    """Run a part; one that breaks, or gives less than it has to, is wrong and costs no other part its figures."""
    try:
        found = PARTS[name](asked, base)
    except Exception as error:  # noqa: BLE001  # whatever it is, the others are told
        traceback.print_exc()
        found = runs.Found(not_run=dict.fromkeys(FIELDS[name], f"{name} broke: {error!r}"))
    untold = {
        field: found.not_run.get(field) or f"{name} does not say why"
        for field in FIELDS[name]
        if found.figures.get(field) is None
    }
    lines = (f"no {field}: {why}" for field, why in untold.items())
    return runs.Found(found.figures, untold, (*found.wrong, *lines))


def _figure(name: str, found: Mapping[str, runs.Found]) -> Any:
    """Return a figure; of several parts that were asked for it, their sum, unless one gives none."""
    given = [one.figures.get(name) for part, one in found.items() if name in FIELDS[part]]
    return None if None in given or not given else functools.reduce(operator.add, given)


def _why_not(name: str, found: Mapping[str, runs.Found]) -> str:
    parts = [part for part, names in FIELDS.items() if name in names]
    asked = [found[part].not_run[name] for part in parts if name in found.get(part, NONE).not_run]
    return "; ".join(asked) or f"--only without {' and '.join(parts)}"


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
    "plans": ("crash_points", "plans", "violations"),
    "defects": ("defects", "defects_caught"),
    "model": ("model_operations",),
    "escapes": (
        *("escapes", "refused_by_judge", "refused_by_judge_as_a_field", "refused_by_lock"),
    ),
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
NONE = runs.Found()

if __name__ == "__main__":
    sys.exit(main())
