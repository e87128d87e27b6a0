"""``kubectl hansa wait`` and ``cancel``: what a script does with a job that it has submitted."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import click

from hansa.adapters.clock import SystemClock
from hansa.cli.access import Access, with_access
from hansa.cli.display import FORMATS, Section, say, show, with_output
from hansa.cli.jobs.naming import job_path
from hansa.errors import Retryable
from hansa.ports import Manifest

if TYPE_CHECKING:
    from hansa.adapters.kube.client import KubeCluster

EXIT_TIMED_OUT = 4
"""It has not come to that within the time given."""
LOOK_S = 2.0
SECONDS = click.FloatRange(min=0, max=1e9)
STAGES = {
    "placed": ("Placed", "Running", "Succeeded", "Failed"),
    "running": ("Running", "Succeeded", "Failed"),
    "ended": ("Succeeded", "Failed"),
}
"""What to wait for → conditions any of which means that it was reached, or never will be."""


@click.command
@click.argument("job")
@click.option("-n", "--namespace", default="", help="Namespace of the job; default: the context's.")
@click.option("--for", "stage", type=click.Choice([*STAGES]), default="ended", show_default=True)
@click.option("--timeout", type=SECONDS, default=0.0, help="Seconds to wait at most; 0: for ever.")
@with_output
@with_access
def wait(
    job: str, *, namespace: str, stage: str, timeout: float, output: str, access: Access
) -> None:
    """Wait until JOB is placed, runs or has ended.

    Exits with 0 when it came to that, with 1 when the job failed, and with 4 when the time is over.
    """
    found = access.ask(
        lambda cluster: wait_for(
            cluster, job_path(job, namespace, cluster.namespace), stage, timeout
        )
    )
    if found is None:
        click.echo(
            f"{job} is not {stage} within {timeout:g} s; `kubectl hansa explain {job}` says why",
            err=output in FORMATS,
        )
        sys.exit(EXIT_TIMED_OUT)
    show([outcomes([found], output)], output)
    if not ending(found).is_good:
        sys.exit(1)


@click.command
@click.argument("job")
@click.option("-n", "--namespace", default="", help="Namespace of the job; default: the context's.")
@with_access
def cancel(job: str, namespace: str, access: Access) -> None:
    """Stop JOB, or hold it back before it starts. What is known of it stays.

    It sets spec.suspend: `kubectl patch` with false lets it run again, `kubectl delete aijob` takes it
    away. A run ends at its member within seconds; its node is free when the member has signed that.
    """
    change = {"spec": {"suspend": True}}
    found = access.ask(
        lambda cluster: cluster.merge(job_path(job, namespace, cluster.namespace), change)
    )
    if has_ended(found):
        say(f"{job} had ended already: {ending(found).words}")
        return
    say(f"{job} is suspended; `kubectl hansa wait` and `explain` tell when its node is free")


async def wait_for(
    cluster: KubeCluster, path: str, stage: str, timeout_s: float
) -> Manifest | None:
    """Return the job once it is at ``stage``; None after ``timeout_s`` (0: never).

    A server that answers no more is waited for, too; one that never did is an error.
    Looks every two seconds: a watch would save nothing for one object, and end with each connection.
    """
    clock, wanted = SystemClock(), STAGES[stage]
    end_s = clock.monotonic() + timeout_s if timeout_s else float("inf")
    job = await cluster.get(path)
    while True:
        if _reached(job) & {*wanted}:
            return job
        if clock.monotonic() >= end_s:
            return None
        await asyncio.sleep(min(LOOK_S, max(0.0, end_s - clock.monotonic())))
        with contextlib.suppress(Retryable):
            job = await cluster.get(path)


def _reached(job: Manifest) -> set[str]:
    rows = (job.get("status") or {}).get("conditions") or ()
    return {row["type"] for row in rows if row.get("status") == "True"}


def has_ended(job: Manifest) -> bool:
    """Tell whether a job succeeded or failed, for good."""
    return bool(_reached(job) & {*STAGES["ended"]})


class Ending(NamedTuple):
    """Where a job stands."""

    name: str
    kind: str = ""
    """Condition; empty: no decision yet."""
    node: str = ""
    reason: str = ""
    message: str = ""

    @property
    def is_good(self) -> bool:
        """Whether nothing is wrong with it."""
        return self.kind != "Failed"

    @property
    def words(self) -> str:
        """It in a sentence."""
        if not self.kind:
            return f"{self.name}: no decision yet"
        place = f" at {self.node}" if self.node else ""
        return f"{self.name}: {self.kind}{place}: {self.message or self.reason}".rstrip(": ")


def ending(job: Manifest) -> Ending:
    """Return where a job stands."""
    name, status = job["metadata"]["name"], job.get("status") or {}
    rows = {row["type"]: row for row in status.get("conditions") or ()}
    for kind in ("Failed", "Succeeded", "Running", "Placed"):
        row = rows.get(kind)
        if row is not None and row.get("status") == "True":
            said = row.get("reason", ""), row.get("message", "")
            return Ending(name, kind, status.get("node") or "", *said)
    return Ending(name)


def outcomes(jobs: Sequence[Manifest], output: str) -> Section:
    """Return where jobs stand: a sentence each for people, a row each for programs."""
    found = [ending(job) for job in jobs]
    if output in FORMATS:
        return Section("Jobs", ("JOB", "CONDITION", "NODE", "REASON", "MESSAGE"), found)
    return Section("Jobs", lines=[one.words for one in found])
