"""``make prove``: play seeds, tell each violation with its seed, and print one JSON line last.

Sets iterate by hash, so a seed replays only under a fixed ``PYTHONHASHSEED``: this module starts itself
anew under one. The kernel is interpreted, as what is compiled takes longer to load than it saves.
"""

from __future__ import annotations

import argparse
import json
import os
import sys

import numpy as np

FIXED = {"PYTHONHASHSEED": "0", "NUMBA_DISABLE_JIT": "1"}
SEEDS_OF = 1 << 32


def main() -> int:
    """Play; the exit code is 1 where anything was violated."""
    if os.environ.get("PYTHONHASHSEED") != FIXED["PYTHONHASHSEED"]:
        os.execve(  # the interpreter that runs us, as we were called
            sys.executable,
            [sys.executable, "-m", "tests.simulation", *sys.argv[1:]],
            {**os.environ, **FIXED},
        )
    asked = _arguments()
    if asked.seed is not None:
        return _replay(asked.seed)
    base = (
        asked.base if asked.base is not None else int(np.random.SeedSequence().entropy) % SEEDS_OF
    )
    print(f"base seed {base}: seeds {base}..{base + asked.seeds - 1}", flush=True)
    figures = {"simulation_seeds": 0, "site_hours": 0.0, "crash_points": 0, "violations": 0}
    for seed in range(base, base + asked.seeds):
        _add(figures, seed)
        if asked.until_violation and figures["violations"]:
            break
    figures["site_hours"] = round(figures["site_hours"], 1)
    print(json.dumps(figures))
    return 1 if figures["violations"] else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("--seeds", type=int, default=300)
    parser.add_argument("--base", type=int, help="first seed; drawn anew unless given")
    parser.add_argument("--until-violation", action="store_true", help="stop at the first")
    parser.add_argument("--seed", type=int, help="play this one seed and print its whole log")
    return parser.parse_args()


def _add(figures: dict[str, float], seed: int) -> None:
    from tests.simulation.story import play  # noqa: PLC0415  # after the start under a fixed seed

    verdict = play(seed)
    figures["simulation_seeds"] += 1
    figures["site_hours"] += verdict.site_hours
    figures["crash_points"] += verdict.crash_points
    figures["violations"] += len(verdict.violations)
    if verdict.violations:
        print(f"seed {seed} violates:", *verdict.violations, sep="\n  ")
        print("its last events:", *verdict.tail, sep="\n  ", flush=True)


def _replay(seed: int) -> int:
    from tests.simulation.story import play  # noqa: PLC0415  # as above

    verdict = play(seed, last=1 << 30)
    print(*verdict.tail, *verdict.violations, f"digest {verdict.digest}", sep="\n")
    return 1 if verdict.violations else 0


if __name__ == "__main__":
    sys.exit(main())
