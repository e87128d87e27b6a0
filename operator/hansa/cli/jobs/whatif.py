"""``kubectl hansa what-if``: the planner's what-if on the league as this user may read it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import click

from hansa.adapters.kube.client import KubeCluster
from hansa.api.kinds import AIJOB
from hansa.api.meta import API_VERSION
from hansa.cli.access import Access, with_access
from hansa.cli.display import Section, show, with_output
from hansa.cli.documents import read_file
from hansa.cli.jobs.explain import COLUMNS, node_lines
from hansa.cli.league.snapshot import Observed, observe
from hansa.errors import Terminal
from hansa.model.plan import Plan
from hansa.model.snapshot import Job, Snapshot
from hansa.model.times import rfc3339
from hansa.placement.whatif.compare import (
    Difference,
    compare,
    vendors,
    with_job,
    with_site,
    without_operator,
    without_sites,
    without_vendor,
)
from hansa.placement.whatif.explain_job import explain_job
from hansa.ports import Manifest
from hansa.reconcile.hub.nodes import micros

_ADDED = "what-if-"


@dataclass(frozen=True, slots=True)
class Price:
    """A GPU class's price at one node, in millionths a GPU-hour."""

    node: str
    gpu_class: str
    amount_micros: int


@dataclass(frozen=True, slots=True)
class Changes:
    """What is to be otherwise, apart from jobs."""

    nodes: Sequence[str] = ()
    """Gone; so are the nodes of these operators, and the GPUs of these vendors."""
    operators: Sequence[str] = ()
    vendors: Sequence[str] = ()
    prices: Sequence[Price] = ()


@click.command("what-if")
@click.option(
    "-f", "--filename", "filenames", multiple=True, help="AIJob manifest to add; - is stdin."
)
@click.option("--without-node", "nodes", multiple=True, help="Plan as if NODE were gone.")
@click.option(
    "--without-operator",
    "operators",
    multiple=True,
    help="Plan as if all of OPERATOR's nodes were gone.",
)
@click.option(
    "--without-vendor",
    "vendors",
    multiple=True,
    help="Plan as if all of VENDOR's GPUs were gone, as in nvidia.",
)
@click.option("--price", "prices", multiple=True, help="NODE=CLASS=AMOUNT, a GPU-hour.")
@click.option("-n", "--namespace", default="", help="Namespace of jobs that name none.")
@with_output
@with_access
def what_if(
    filenames: tuple[str, ...],
    prices: tuple[str, ...],
    namespace: str,
    output: str,
    access: Access,
    **gone: tuple[str, ...],
) -> None:
    """Show what would change if a job were added, or a node, an operator or a vendor were gone.

    Prices may differ too. Nothing is written anywhere. Work at what is gone counts as released at
    once, while a real league waits until it has ended, or its contract has run out.
    """
    changes = Changes(**gone, prices=[_price(text) for text in prices])
    if not (filenames or any(gone.values()) or prices):
        raise click.UsageError("say what to change: -f, --without-… or --price")
    added = [job for name in filenames for job in read_jobs(name)]
    observed, space = access.ask(lambda cluster: _read(cluster, namespace))
    now = observed.snapshot()
    fresh = new_jobs(observed, now, added, namespace=space)
    then = change(with_jobs(now, fresh), changes)
    difference = compare(now, then)
    changed = [*differences(now, then, difference)]
    made = [
        Section("Unknown", lines=[*unknown(observed)]),
        Section("Summary", lines=[summary(difference)]),
        Section("What would change", ("JOB", "NOW", "THEN"), changed),
    ]
    told = (section for job in fresh for section in _explained(then, job, difference.after))
    show([*made, *told], output)


async def _read(cluster: KubeCluster, namespace: str) -> tuple[Observed, str]:
    observed = await observe(cluster)
    if not observed.is_ruled:
        raise Terminal(
            "what-if needs to list sovereignnodes, computepools and namespaces; ask the platform"
            " team for that right, or use `kubectl hansa explain`"
        )
    return observed, namespace or cluster.namespace


def unknown(observed: Observed) -> Iterator[str]:
    """Yield what the answer leaves out, where not all can be read."""
    if not observed.is_whole:
        yield (
            f"You may not list {', '.join(observed.hidden)} everywhere, so what others hold and"
            " want is unknown: this is the answer of a league in which nobody else has work."
        )


def read_jobs(name: str) -> list[Manifest]:
    """Return the AIJobs of a manifest file; raises ``Terminal`` for anything else in it."""
    documents = read_file(name)
    for document in documents:
        if not isinstance(document, dict) or not _is_job(document):
            raise Terminal(f"{name}: only {API_VERSION} AIJobs with a name can be tried")
    return documents


def _is_job(document: Mapping[str, Any]) -> bool:
    named = isinstance(document.get("metadata"), dict) and "name" in document["metadata"]
    kind = (document.get("apiVersion"), document.get("kind"))
    return named and kind == (API_VERSION, AIJOB.name) and isinstance(document.get("spec"), dict)


def new_jobs(
    observed: Observed, now: Snapshot, added: Sequence[Manifest], *, namespace: str
) -> list[Job]:
    """Return manifests as waiting jobs; one of the name of a present job takes its UID."""
    present = {job.name: job.uid for job in now.jobs}
    fresh = {}
    for number, job in enumerate(added):
        space = job["metadata"].get("namespace") or namespace
        metadata = {
            "namespace": space,
            "name": job["metadata"]["name"],
            "uid": present.get(f"{space}/{job['metadata']['name']}", f"{_ADDED}{number}"),
            "resourceVersion": "",
            "creationTimestamp": rfc3339(observed.now_s),
        }
        fresh[space, metadata["name"]] = {**job, "metadata": metadata, "status": {}}
    return observed.planned(fresh.values())


def with_jobs(snapshot: Snapshot, jobs: Sequence[Job]) -> Snapshot:
    """Return the snapshot with jobs added, or in the place of those with their UIDs."""
    for job in jobs:
        snapshot = with_job(snapshot, job)
    return snapshot


def _price(text: str) -> Price:
    node, _, rest = text.partition("=")
    gpu_class, _, amount = rest.partition("=")
    try:
        return Price(node, gpu_class, micros(amount))
    except ArithmeticError:
        raise click.UsageError(f"--price {text}: write it as NODE=CLASS=AMOUNT") from None


def change(snapshot: Snapshot, changes: Changes) -> Snapshot:
    """Return the snapshot as it would be. Pure; raises ``UsageError`` for what there is not."""
    sites = {site.name: site for site in snapshot.sites}
    _there_is("node", (*changes.nodes, *(price.node for price in changes.prices)), sites)
    _there_is("operator", changes.operators, {site.operator for site in snapshot.sites})
    _there_is("GPU vendor", changes.vendors, vendors(snapshot))
    for price in changes.prices:
        site = sites[price.node]
        prices = {**site.gpu_hour_price, price.gpu_class: price.amount_micros}
        sites[price.node] = replace(site, gpu_hour_price=prices)
        snapshot = with_site(snapshot, sites[price.node])
    snapshot = without_sites(snapshot, frozenset(changes.nodes))
    for operator in changes.operators:
        snapshot = without_operator(snapshot, operator)
    for vendor in changes.vendors:
        snapshot = without_vendor(snapshot, vendor)
    return snapshot


def _there_is(what: str, wanted: Sequence[str], known: Collection[str]) -> None:
    for name in wanted:
        if name not in known:
            there_are = ", ".join(sorted(known)) or "none"
            raise click.UsageError(f"there is no {what} {name}; there are: {there_are}")


def summary(difference: Difference) -> str:
    """Return the difference in numbers."""
    lost, gained, moved = len(difference.lost), len(difference.gained), len(difference.moved)
    uprooted = len(difference.uprooted)
    return (
        f"Jobs that start now and would not: {lost}; that would and do not: {gained}; elsewhere:"
        f" {moved}; that would lose the place where they run: {uprooted}."
    )


def differences(
    now: Snapshot, then: Snapshot, difference: Difference
) -> Iterator[tuple[str, str, str]]:
    """Yield job, outcome now, outcome then, for every job whose outcome differs."""
    before, after = outcomes(now, difference.before), outcomes(then, difference.after)
    for name in sorted({*before, *after}):
        old, new = before.get(name, "not there"), after.get(name, "not there")
        if old != new:
            yield name, old, new


def outcomes(snapshot: Snapshot, plan: Plan) -> dict[str, str]:
    """Return ``namespace/name`` → what the planner does with the job."""
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


def _explained(snapshot: Snapshot, job: Job, plan: Plan) -> Iterator[Section]:
    story = explain_job(snapshot, job.uid, plan)
    if story is None:
        return
    yield Section(job.name, lines=[f"{job.name}: {story.sentence}"])
    cells = [line.cells for line in node_lines(story.verdicts)]
    yield Section(f"{job.name}, node by node", COLUMNS, cells)
