"""Loads the compiled kernel beside a hub that plans already, with the interpreted one.

To compile it takes a minute of CPU, most of it in Python: a thread would hold up the event loop again
and again, and the compiler stays in memory. So it is compiled in a process of its own into numba's
cache, and loaded from there; only where there is no cache it is compiled here.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec

from hansa.model.events import JobArrived, JobGone
from hansa.model.snapshot import Job, Machines, Pool, Shape, Site, Snapshot
from hansa.placement.incremental import IncrementalPlanner
from hansa.placement.kernel import run

COMPILE = (sys.executable, "-P", "-m", "hansa.hub.planner.warm_up")
LONGEST_S = 900.0
NICENESS = 10
"""Whatever else runs on the machine goes first."""


async def load_kernel(command: Sequence[str] = COMPILE) -> bool:
    """Return once the compiled kernel is loaded; False where there is none.

    Cancelled, it ends the process: a hub that is told to end must not wait for a compiler.
    """
    if find_spec("numba") is None or os.environ.get("NUMBA_DISABLE_JIT") == "1":
        return False
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        await _compile_elsewhere(command)
    await asyncio.to_thread(warm_up)
    return run.compiled() is not None


async def _compile_elsewhere(command: Sequence[str]) -> None:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: ASYNC220, S603  # a millisecond; our own interpreter
    try:
        await asyncio.to_thread(process.wait, LONGEST_S)
    finally:
        process.kill()


def warm_up() -> None:
    """Plan one made-up job, so that whatever the planner loads or compiles is there."""
    machines = Machines(1, 0, "", 0, 4000, 8 << 30)
    site = Site("warm", "warm", "warm", "EE", frozenset({"EE"}), machines=(machines,))
    job = Job("warm", "warm/warm", "warm", "warm", Shape(1), submitted_s=0)
    planner = IncrementalPlanner(Snapshot(0, (site,), (Pool("warm"),), (job,)))
    planner.replan(0, is_repriced=True)
    planner.update([JobArrived(replace(job, uid="cold")), JobGone("warm")], now_s=0)


def main() -> None:
    """Compile into the cache, where there is one: otherwise it would be for nothing."""
    os.nice(NICENESS)
    if run.has_cache():
        warm_up()


if __name__ == "__main__":
    main()
