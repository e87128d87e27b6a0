"""The planner's first plan, made before it matters: it loads and compiles the kernel, for seconds."""

from __future__ import annotations

from dataclasses import replace

from hansa.model.events import JobArrived, JobGone
from hansa.model.snapshot import Job, Machines, Pool, Shape, Site, Snapshot
from hansa.placement.incremental import IncrementalPlanner


def warm_up() -> None:
    """Plan one made-up job, so that whatever the planner loads or compiles is there."""
    machines = Machines(1, 0, "", 0, 4000, 8 << 30)
    site = Site("warm", "warm", "warm", "EE", frozenset({"EE"}), machines=(machines,))
    job = Job("warm", "warm/warm", "warm", "warm", Shape(1), submitted_s=0)
    planner = IncrementalPlanner(Snapshot(0, (site,), (Pool("warm"),), (job,)))
    planner.replan(0, is_repriced=True)
    planner.update([JobArrived(replace(job, uid="cold")), JobGone("warm")], now_s=0)
