"""``kubectl hansa queue``: what waits, in the order in which it is served, and for what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from hansa.api.kinds import AIJOB
from hansa.cli.access import Access, with_access
from hansa.cli.display import Section, repeat, with_output, with_watch
from hansa.cli.league.overview import (
    ENDED,
    beside_hub,
    exit_code,
    hub_section,
    job_state,
    standing,
)
from hansa.ports import Manifest

if TYPE_CHECKING:
    from hansa.adapters.kube.client import KubeCluster

COLUMNS = ("POOL", "AHEAD", "JOB", "PRIORITY", "GPUS", "SINCE", "REASON", "MAY START BY")
GOING_ON = ENDED | {"Running", "Placed"}


@click.command
@click.option("-n", "--namespace", default="", help="Jobs of one namespace; default: of all.")
@click.option("--pool", default="", help="Jobs of one pool; default: of all.")
@with_watch
@with_output
@with_access
def queue(namespace: str, pool: str, output: str, watch: bool, access: Access) -> None:  # noqa: FBT001  # click passes options by name
    """Show the jobs that wait: how many are ahead of each in its pool, and for what it waits.

    Exits with 3 when no hub leads here: then nothing starts, whatever is said of when.
    """

    def answer() -> tuple[Sequence[Section], int]:
        hub, jobs = access.ask(lambda cluster: beside_hub(cluster, _jobs(cluster, namespace)))
        shown = Section("Queue", COLUMNS, queue_rows(jobs, pool))
        return [shown, hub_section(hub)], exit_code(hub)

    repeat(answer, output, watch=watch)


async def _jobs(cluster: KubeCluster, namespace: str) -> list[Manifest]:
    return (await cluster.list(AIJOB.path(namespace or None))).items


def queue_rows(jobs: Sequence[Manifest], pool: str = "") -> list[tuple[object, ...]]:
    """Return a line for each job that waits, in the order of its pool; unplanned ones last."""
    waiting = [
        job
        for job in jobs
        if job_state(job) not in GOING_ON and pool in {"", job["spec"].get("pool", "")}
    ]
    return [_row(job) for job in sorted(waiting, key=_order)]


def _order(job: Manifest) -> tuple[str, float, str]:
    ahead = (job.get("status") or {}).get("queuePosition")
    made = str(job["metadata"].get("creationTimestamp", ""))
    return job["spec"].get("pool", ""), float("inf") if ahead is None else ahead, made


def _gpus(ray: Manifest) -> int:
    workers, groups = ray.get("workers") or {}, ray.get("workerGroups") or ()
    gpus: int = workers.get("count", 1) * workers.get("gpus", 0)
    gpus += sum(group.get("count", 1) * group.get("gpus", 0) for group in groups)
    return gpus + int((ray.get("head") or {}).get("gpus", 0))


def _row(job: Manifest) -> tuple[object, ...]:
    meta, spec, status = job["metadata"], job["spec"], job.get("status") or {}
    conditions = status.get("conditions") or ()
    return (
        spec.get("pool", ""),
        status.get("queuePosition", ""),
        f"{meta['namespace']}/{meta['name']}",
        spec.get("priority", 0),
        _gpus(spec.get("ray") or {}),
        meta.get("creationTimestamp", ""),
        standing(conditions, "Placed") or standing(conditions, "Accepted") or "Pending",
        (status.get("startEstimate") or {}).get("p90", ""),
    )
