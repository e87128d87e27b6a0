"""Loads the compiled kernel beside a hub that plans already, with the interpreted one.

To compile it takes a minute of CPU, most of it in Python: a thread would hold up the event loop again
and again, and the compiler stays in memory. So it is compiled in a process of its own into numba's
cache, and loaded from there; only where there is no cache it is compiled here.
"""

from __future__ import annotations

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


def load_kernel(command: Sequence[str] = COMPILE) -> bool:
    """Return once the compiled kernel is loaded; False where there is none. Call it in a thread."""
    if find_spec("numba") is None:
        return False
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        subprocess.run(  # noqa: S603  # our own interpreter
            command, timeout=LONGEST_S, check=False, stdout=subprocess.DEVNULL
        )
    warm_up()
    return run.compiled() is not None


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
