"""``kubectl hansa what-if``: the hub's own pure planner on a league that is changed only in memory."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import yaml

from hansa.adapters.kube.client import KubeCluster
from hansa.api.kinds import AIJOB
from hansa.api.meta import API_VERSION
from hansa.cli.access import Access, with_access
from hansa.cli.display import say, show_table
from hansa.cli.league import Observed, observe
from hansa.cli.remedies import remedy
from hansa.errors import Terminal
from hansa.model.snapshot import Job, Site, Snapshot
from hansa.model.times import rfc3339
from hansa.placement import planner
from hansa.planning.hub_nodes import micros
from hansa.ports import Manifest

_STDIN = "-"


@dataclass(frozen=True, slots=True)
class Price:
    """A GPU class's price at one node, in millionths a GPU-hour."""

    node: str
    gpu_class: str
    amount_micros: int


@click.command("what-if")
@click.option(
    "-f", "--filename", "filenames", multiple=True, help="AIJob manifest to add; - is stdin."
)
@click.option("--without-node", "gone", multiple=True, help="Plan as if NODE were gone.")
@click.option("--price", "prices", multiple=True, help="NODE=CLASS=AMOUNT, a GPU-hour.")
@click.option("-n", "--namespace", default="", help="Namespace of jobs that name none.")
@with_access
def what_if(
    filenames: tuple[str, ...],
    gone: tuple[str, ...],
    prices: tuple[str, ...],
    namespace: str,
    access: Access,
) -> None:
    """Show what would change if a job were added, a node gone or a price different.

    Nothing is written anywhere.
    """
    if not (filenames or gone or prices):
        raise click.UsageError("say what to change: -f, --without-node or --price")
    added = [job for name in filenames for job in read_jobs(name)]
    wanted = [_price(text) for text in prices]
    observed, space = access.ask(lambda cluster: _read(cluster, namespace))
    now = observed.snapshot()
    extended = with_jobs(observed, added, namespace=space).snapshot()
    then = change(extended, gone=gone, prices=wanted)
    rows = differences(now, then)
    show_table("What would change", ("JOB", "NOW", "THEN"), rows)
    for job in then.jobs:
        if job.uid.startswith(_ADDED):
            _explain(then, job)


async def _read(cluster: KubeCluster, namespace: str) -> tuple[Observed, str]:
    observed = await observe(cluster)
    if observed is None:
        raise Terminal(
            "what-if needs to list sovereignnodes, computepools and namespaces; ask the platform"
            " team for that right, or use `kubectl hansa explain`"
        )
    return observed, namespace or cluster.namespace


_ADDED = "what-if-"


def read_jobs(name: str) -> list[Manifest]:
    """Return the AIJobs of a manifest file; raises ``Terminal`` for anything else in it."""
    try:
        text = sys.stdin.read() if name == _STDIN else Path(name).read_text()
        documents = [document for document in yaml.safe_load_all(text) if document is not None]
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise Terminal(f"cannot read {name}: {error}") from error
    for document in documents:
        if not isinstance(document, dict) or not _is_job(document):
            raise Terminal(f"{name}: only {API_VERSION} AIJobs with a name can be tried")
    return documents


def _is_job(document: Mapping[str, Any]) -> bool:
    named = isinstance(document.get("metadata"), dict) and "name" in document["metadata"]
    kind = (document.get("apiVersion"), document.get("kind"))
    return named and kind == (API_VERSION, AIJOB.name) and isinstance(document.get("spec"), dict)


def with_jobs(observed: Observed, added: Sequence[Manifest], *, namespace: str) -> Observed:
    """Return the league with jobs added; one of the same name takes the place of the present one."""
    fresh = []
    for number, job in enumerate(added):
        metadata = {
            "namespace": job["metadata"].get("namespace") or namespace,
            "name": job["metadata"]["name"],
            "uid": f"{_ADDED}{number}",
            "resourceVersion": "",
            "creationTimestamp": rfc3339(observed.now_s),
        }
        fresh.append({**job, "metadata": metadata, "status": {}})
    replaced = {_key(job) for job in fresh}
    kept = [job for job in observed.jobs if _key(job) not in replaced]
    return replace(observed, jobs=[*kept, *fresh])


def _key(job: Manifest) -> tuple[str, str]:
    return job["metadata"]["namespace"], job["metadata"]["name"]


def _price(text: str) -> Price:
    node, _, rest = text.partition("=")
    gpu_class, _, amount = rest.partition("=")
    try:
        return Price(node, gpu_class, micros(amount))
    except ArithmeticError:
        raise click.UsageError(f"--price {text}: write it as NODE=CLASS=AMOUNT") from None


def change(snapshot: Snapshot, *, gone: Sequence[str], prices: Sequence[Price]) -> Snapshot:
    """Return the snapshot without some nodes and with other prices. Pure."""
    known = {site.name for site in snapshot.sites}
    for name in (*gone, *(price.node for price in prices)):
        if name not in known:
            there_are = ", ".join(sorted(known)) or "none"
            raise click.UsageError(f"there is no node {name}; there are: {there_are}")
    sites = tuple(_priced(site, prices) for site in snapshot.sites if site.name not in gone)
    jobs = tuple(_evicted(job, gone) for job in snapshot.jobs)
    return replace(snapshot, sites=sites, jobs=jobs)


def _priced(site: Site, prices: Sequence[Price]) -> Site:
    ours = {price.gpu_class: price.amount_micros for price in prices if price.node == site.name}
    return replace(site, gpu_hour_price={**site.gpu_hour_price, **ours}) if ours else site


def _evicted(job: Job, gone: Sequence[str]) -> Job:
    held = tuple(holding for holding in job.holdings if holding.site not in gone)
    return job if len(held) == len(job.holdings) else replace(job, holdings=held)


def differences(now: Snapshot, then: Snapshot) -> Iterator[tuple[str, str, str]]:
    """Yield job, outcome now, outcome then, for every job whose outcome differs."""
    before, after = outcomes(now), outcomes(then)
    for name in sorted({*before, *after}):
        old, new = before.get(name, "not there"), after.get(name, "not there")
        if old != new:
            yield name, old, new


def outcomes(snapshot: Snapshot) -> dict[str, str]:
    """Return ``namespace/name`` → what the planner does with the job."""
    plan = planner.plan(snapshot)
    names = {job.uid: job.name for job in snapshot.jobs}
    found = {
        job.name: f"runs at {', '.join(h.site for h in job.holdings)}"
        for job in snapshot.jobs
        if job.holdings
    }
    found |= {names[row.job_uid]: f"waits: {row.reason} ({row.message})" for row in plan.waiting}
    found |= {names[row.job_uid]: f"starts at {row.site}" for row in plan.placements}
    found |= {
        names[row.job_uid]: f"is stopped at {row.site}: {row.reason}"
        for row in plan.stops
        if row.workers == 0
    }
    return found


def _explain(snapshot: Snapshot, job: Job) -> None:
    if job.barred is not None:
        say(f"{job.name}: {job.barred}: {job.barred_message}")
        return
    rows = (
        (verdict.site, verdict.reason, verdict.message, remedy(verdict.reason))
        for verdict in planner.explain(snapshot, job.uid)
    )
    columns = ("NODE", "REASON", "WHAT THE RULE SAW", "WHAT WOULD HELP")
    show_table(f"{job.name}, node by node", columns, rows)
