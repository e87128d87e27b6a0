"""``kubectl hansa explain``: the planner's own story of a job, then node × rule × what would help.

Everybody who may read the job gets the verdicts in its status. Who may also list nodes, pools and
namespaces gets every rule's verdict, judged here by the hub's own planner from the same objects; who
may list all jobs too, what binds the job, what is next best and what would let it start now.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import click

from hansa.adapters.kube.client import KubeCluster
from hansa.cli.access import Access, with_access
from hansa.cli.display import Section, show, with_output
from hansa.cli.health.finding import Finding
from hansa.cli.jobs.naming import job_path
from hansa.cli.jobs.remedies import remedy
from hansa.cli.league.overview import beside_hub, standing
from hansa.cli.league.snapshot import Observed, observe
from hansa.model.plan import Verdict
from hansa.model.reasons import Reason
from hansa.placement import planner
from hansa.placement.explain.verdicts import removed
from hansa.placement.whatif.explain_job import Explanation, explain_job
from hansa.ports import Manifest

COLUMNS = ("NODE", "REASON", "WHAT THE RULE SAW", "WHAT WOULD HELP")
_WORDS = {Reason.PENDING: "no rule is against it"}


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


@dataclass(frozen=True, slots=True)
class Answer:
    """What can be said beyond the job's own status."""

    story: Sequence[str]
    nodes: Sequence[Line]


@click.command
@click.argument("job")
@click.option("-n", "--namespace", default="", help="Namespace of the job; default: the context's.")
@with_output
@with_access
def explain(job: str, namespace: str, output: str, access: Access) -> None:
    """Say why JOB is where it is, or why no node takes it, and what would change that.

    Needs the right to read the job. With the right to list nodes, pools and namespaces every rule is
    judged anew; with the right to list all jobs too, the planner says what lets the job start now.
    """
    hub, (found, league) = access.ask(
        lambda cluster: beside_hub(cluster, _read(cluster, namespace, job))
    )
    show([without_hub(hub), *sections(found, league)], output)


def without_hub(hub: Finding) -> Section:
    """Say that nobody acts on what follows, where that is known."""
    note = f"Hub: {hub.detail}; what follows would be so if one worked, and nothing new starts"
    return Section("Hub", lines=[note] if hub.good is False else [])


def sections(job: Manifest, league: Observed) -> Iterator[Section]:
    """Yield the job's own state, what members said, the planner's story and its table."""
    yield Section("Job", lines=summary(job))
    refused = refusal_lines(job)
    if refused:
        yield Section("Refused by members", COLUMNS, [line.cells for line in refused])
    told = answer(league, job)
    yield Section("Story", lines=told.story)
    yield Section("Nodes, gravest reason first", COLUMNS, [line.cells for line in told.nodes])


async def _read(cluster: KubeCluster, namespace: str, name: str) -> tuple[Manifest, Observed]:
    job = await cluster.get(job_path(name, namespace, cluster.namespace))
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
    lines += post_mortem_lines(status.get("postMortem"))
    audit, known = spec.get("audit"), status.get("assurance")
    if audit:
        lines.append(f"  it is {audit_line(audit)} {audit['node']}")
    if known:
        said = f": {known['message']}" if known.get("message") else ""
        lines.append(
            f"  run {known['epoch']} reached {known['reached']}, audit {known['audit']}{said}"
        )
        lines += doubt_lines(known.get("doubtful", ()))
    if status.get("queuePosition") is not None:
        lines.append(f"  {status['queuePosition']} jobs are ahead of it in the pool")
    estimate = status.get("startEstimate")
    if estimate:
        lines.append(
            f"  may start by {estimate['p50']} (one time in two), {estimate['p90']} (nine in ten)"
        )
    return lines


def audit_line(audit: Manifest) -> str:
    """Return what a job is that the ledger has made, up to the name of its node."""
    if "of" not in audit:
        return "a capacity probe of"
    part = audit.get("segment")
    what = f"steps {part['first']} to {part['last']} of " if part else ""
    return f"an audit of {what}{audit['of']}, run {audit['epoch']}, at"


def doubt_lines(runs: Sequence[int]) -> Iterator[str]:
    """Yield which runs of a job nobody should rely on, where there are any."""
    if runs:
        named = ", ".join(map(str, runs))
        yield f"  do not rely on run {named}: the node was found to have cheated, there or elsewhere"


def post_mortem_lines(told: Manifest | None) -> Iterator[str]:
    """Yield how the pods of the latest run that failed died."""
    if not told:
        return
    yield f"  pods that died in run {told['epoch']}, at node {told['node']}:"
    for pod in told["pods"]:
        code = f", exit code {pod['exitCode']}" if "exitCode" in pod else ""
        times = f", started anew {pod['restarts']} times" if "restarts" in pod else ""
        yield f"    {pod['role']}: {pod['reason']}{code}{times}"
        yield from (f"      {event}" for event in pod.get("events", ()))
        yield from (f"      | {line}" for line in pod.get("logTail", "").splitlines())


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


def answer(league: Observed, job: Manifest) -> Answer:
    """Return the planner's story as far as this user may know it; of an ended job, the hub's last."""
    hidden = ", ".join(league.hidden)
    if not league.is_ruled:
        note = f"From the job's status: you may not list {hidden}, so this may not be all."
        return Answer([note], status_lines(job))
    snapshot, uid = league.snapshot(), job["metadata"]["uid"]
    here = job.get("status", {}).get("node") or ""
    if uid not in {known.uid for known in snapshot.jobs}:
        return Answer([], status_lines(job))
    if league.is_whole:
        story = explain_job(snapshot, uid)
        if story is not None:
            return Answer([*story_lines(story, job)], node_lines(story.verdicts, here))
    verdicts = planner.explain(snapshot, uid)
    return Answer([*_rules_only(verdicts, hidden)], node_lines(verdicts, here))


def story_lines(story: Explanation, job: Manifest) -> Iterator[str]:
    """Yield the planner's story of a job, one thought a line."""
    here, places = job.get("status", {}).get("node"), " and ".join(story.sites)
    if story.reason is Reason.PLACED:
        yield f"Planner: it is at {places}" if here else f"Planner: it would start now at {places}"
    else:
        yield f"Planner: {story.reason}: {story.message}"
    if story.counts:
        yield f"  nodes ruled out: {story.counts}"
    if story.next_best:
        yield f"  {story.next_best}"
    if story.remedy is not None:
        yield f"  it would start now if {story.remedy.words}"
    elif not story.sites:
        yield f"  no single change that was tried lets it start now; {remedy(story.reason)}"
    said = standing(job.get("status", {}).get("conditions", []), "Placed")
    if said and not here and said != story.reason:
        yield f"  the hub said {said}: it also knows grants and run times, or has yet to look again"


def _rules_only(verdicts: Sequence[Verdict], hidden: str) -> Iterator[str]:
    counts = ", ".join(f"{count} by {reason}" for reason, count in removed(verdicts).items())
    yield f"Planner: nodes ruled out: {counts or 'none'}"
    yield (
        f"  you may not list {hidden} everywhere, so what others hold and want is unknown here:"
        " whether there is room, whose turn it is, and what would let it start now"
    )


def node_lines(verdicts: Iterable[Verdict], here: str = "") -> list[Line]:
    """Return the planner's verdict on every node of the job's pool. ``here`` holds its grant."""
    return [
        _holder(v)
        if v.site == here
        else Line(v.site, v.reason.value, v.message or _WORDS.get(v.reason, ""))
        for v in verdicts
    ]


def _holder(verdict: Verdict) -> Line:
    """The node that holds the grant; one that is silent holds it still, and that is what matters."""
    if verdict.reason is Reason.NODE_UNREACHABLE:
        return Line(verdict.site, verdict.reason.value, f"it holds the grant; {verdict.message}")
    return Line(verdict.site, Reason.PLACED.value, "it holds the grant")
