"""``kubectl hansa explain``: node × rule × what the rule saw × what would help.

Everybody who may read the job gets the verdicts in its status. Who may also list nodes and pools
gets the whole answer, computed here by the hub's own pure planner from the same objects.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import click

from hansa.adapters.kube.client import KubeCluster
from hansa.api.kinds import AIJOB
from hansa.cli.access import Access, with_access
from hansa.cli.display import say, show_table
from hansa.cli.league import Observed, observe
from hansa.cli.remedies import remedy
from hansa.model.reasons import Reason
from hansa.placement import planner
from hansa.ports import Manifest

COLUMNS = ("NODE", "REASON", "WHAT THE RULE SAW", "WHAT WOULD HELP")


@dataclass(frozen=True, slots=True)
class Line:
    """One node's answer."""

    node: str
    reason: str
    message: str

    @property
    def cells(self) -> tuple[str, ...]:
        """The line as the table shows it."""
        return (self.node, self.reason, self.message, remedy(self.reason))


@click.command
@click.argument("job")
@click.option("-n", "--namespace", default="", help="Namespace of the job; default: the context's.")
@with_access
def explain(job: str, namespace: str, access: Access) -> None:
    """Say why JOB is where it is, or why no node takes it, and what would change that."""
    found, league = access.ask(lambda cluster: _read(cluster, namespace, job))
    for line in summary(found):
        say(line)
    refused = refusal_lines(found)
    if refused:
        show_table("Refused by members", COLUMNS, (line.cells for line in refused))
    lines = status_lines(found) if league is None else planner_lines(league, found)
    show_table("Nodes, gravest reason first", COLUMNS, (line.cells for line in lines))
    if league is None:
        say("From the job's status: you may not list nodes and pools, so this may not be all.")


async def _read(
    cluster: KubeCluster, namespace: str, name: str
) -> tuple[Manifest, Observed | None]:
    job = await cluster.get(AIJOB.path(namespace or cluster.namespace, name))
    return job, await observe(cluster, jobs=[job])


def summary(job: Manifest) -> list[str]:
    """Return the job's own state in a few lines."""
    metadata, spec, status = job["metadata"], job["spec"], job.get("status", {})
    lines = [f"{metadata['namespace']}/{metadata['name']} in pool {spec.get('pool', '')}"]
    lines += [
        f"  {c['type']}: {c['status']} ({c['reason']}) {c.get('message', '')}".rstrip()
        for c in status.get("conditions", [])
    ]
    if not status.get("conditions"):
        lines.append("  not looked at yet: is a hub running?")
    if status.get("node"):
        lines.append(f"  at node {status['node']}, epoch {status.get('epoch', 0)}")
    if status.get("queuePosition") is not None:
        lines.append(f"  {status['queuePosition']} jobs are ahead of it in the pool")
    estimate = status.get("startEstimate")
    if estimate:
        lines.append(
            f"  may start by {estimate['p50']} (even odds), {estimate['p90']} (nine in ten)"
        )
    return lines


def refusal_lines(job: Manifest) -> list[Line]:
    """Return what members said to this job, last refusal last."""
    return [
        Line(row["node"], row["reason"], row.get("message", ""))
        for row in job.get("status", {}).get("refusals", [])
    ]


def status_lines(job: Manifest) -> list[Line]:
    """Return the verdicts that the hub wrote to the job."""
    return [
        Line(row["node"], row["reason"], row.get("message", ""))
        for row in job.get("status", {}).get("verdicts", [])
    ]


def planner_lines(league: Observed, job: Manifest) -> Sequence[Line]:
    """Return the planner's verdict on every node of the job's pool; of an ended job, the last."""
    here = job.get("status", {}).get("node")
    snapshot = league.snapshot()
    if job["metadata"]["uid"] not in {known.uid for known in snapshot.jobs}:
        return status_lines(job)
    return [
        Line(v.site, Reason.PLACED.value, "it holds the grant")
        if v.site == here
        else Line(v.site, v.reason.value, v.message)
        for v in planner.explain(snapshot, job["metadata"]["uid"])
    ]
