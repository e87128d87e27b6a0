"""``make prove``, ``make soak``: play seeds, tell each violation with its seed, and print one JSON line last.

Sets iterate by hash, so a seed replays only under a fixed ``PYTHONHASHSEED``: this module starts itself
anew under one. The kernel is interpreted, as what is compiled takes longer to load than it saves.
SIGINT and SIGTERM end it after the seeds under way: the line says what was done, and how to go on.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from itertools import takewhile
from threading import Event
from typing import TYPE_CHECKING, Any

from e2e.testbed.host.clock import elapsed_s
from tests.seeds import drawn

if TYPE_CHECKING:
    from tests.simulation.story import Verdict

FIXED = {"PYTHONHASHSEED": "0", "NUMBA_DISABLE_JIT": "1"}
END_SIGNALS = (signal.SIGINT, signal.SIGTERM)
TOLD_EVERY_S = 60.0


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
    base = drawn() if asked.base is None else asked.base
    figures: dict[str, Any] = {"simulation_seeds": 0, "site_hours": 0.0}
    figures |= {"crash_points": 0, "violations": 0}
    ending, told_s = Event(), elapsed_s()
    for number in END_SIGNALS:
        signal.signal(number, lambda *_: ending.set())
    print(f"base seed {base}: seeds {base}..{base + asked.seeds - 1}", flush=True)
    try:
        for verdict in _verdicts(range(base, base + asked.seeds), asked.workers, ending.is_set):
            _add(figures, verdict)
            if asked.until_violation and figures["violations"]:
                ending.set()
            if elapsed_s() - told_s > TOLD_EVERY_S:
                told_s = elapsed_s()
                print("so far", json.dumps(_told(figures)), flush=True)
    finally:
        if ending.is_set():
            done = figures["simulation_seeds"]
            print(f"ended early; the others: --base {base + done} --seeds {asked.seeds - done}")
        print(json.dumps(_told(figures)), flush=True)
    return 1 if figures["violations"] else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("--seeds", type=int, default=300)
    parser.add_argument("--base", type=int, help="first seed; drawn anew unless given")
    parser.add_argument("--workers", type=int, default=1, help="processes at a time")
    parser.add_argument("--until-violation", action="store_true", help="stop at the first")
    parser.add_argument("--seed", type=int, help="play this one seed and print its whole log")
    return parser.parse_args()


def _verdicts(seeds: range, workers: int, is_ending: Callable[[], bool]) -> Iterator[Verdict]:
    """Yield verdicts as they come, of every seed up to the last that was begun before the end."""
    # After the start under a fixed seed. Processes that are spawned find nothing in a ``__main__``.
    from tests.simulation.story import play  # noqa: PLC0415

    left = takewhile(lambda _: not is_ending(), seeds)
    if workers == 1:
        yield from map(play, left)
        return
    anew = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, anew) as pool:
        # All processes begin with the first task. A terminal's signal is for all, and they are to go on.
        signal.pthread_sigmask(signal.SIG_BLOCK, END_SIGNALS)
        pool.submit(int)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, END_SIGNALS)
        begun: set[Future[Verdict]] = set()
        for seed in left:
            begun.add(pool.submit(play, seed))
            if len(begun) == workers:
                done, begun = wait(begun, return_when=FIRST_COMPLETED)
                yield from (one.result() for one in done)
        yield from (one.result() for one in begun)


def _add(figures: dict[str, Any], verdict: Verdict) -> None:
    figures["simulation_seeds"] += 1
    figures["site_hours"] += verdict.site_hours
    figures["crash_points"] += verdict.crash_points
    figures["violations"] += len(verdict.violations)
    if verdict.violations:
        print(f"seed {verdict.seed} violates:", *verdict.violations, sep="\n  ")
        print("its last events:", *verdict.tail, sep="\n  ", flush=True)


def _told(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures with the CPU seconds of this process, and of workers that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu_s = sum(one.ru_utime + one.ru_stime for one in used)
    return {**figures, "site_hours": round(figures["site_hours"], 1), "cpu_seconds": round(cpu_s)}


def _replay(seed: int) -> int:
    from tests.simulation.story import play  # noqa: PLC0415  # under a fixed seed

    verdict = play(seed, last=1 << 30)
    print(*verdict.tail, *verdict.violations, f"digest {verdict.digest}", sep="\n")
    return 1 if verdict.violations else 0


if __name__ == "__main__":
    sys.exit(main())
