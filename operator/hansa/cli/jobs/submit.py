"""``kubectl hansa submit``: apply jobs after checking them here, where a mistake can be told best."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click
from pydantic import ValidationError

from hansa.adapters.clock import SystemClock
from hansa.api.aijob import AIJobSpec
from hansa.api.kinds import AIJOB
from hansa.api.texts import first_fault
from hansa.cli.access import Access, with_access
from hansa.cli.display import FORMATS, Section, show, with_output
from hansa.cli.documents import as_sent, read_file
from hansa.cli.jobs.naming import job_path
from hansa.cli.jobs.wait import EXIT_TIMED_OUT, SECONDS, ending, has_ended, outcomes, wait_for
from hansa.errors import Terminal
from hansa.ports import Manifest

if TYPE_CHECKING:
    from hansa.adapters.kube.client import KubeCluster

MANAGER = "kubectl-hansa"
LEAST_S = 1e-6
"""One look more at a job when the time is over: 0 would be for ever."""


@click.command
@click.argument("filename")
@click.option("-n", "--namespace", default="", help="Namespace of jobs that name none.")
@click.option("--wait", is_flag=True, help="Return when all have ended; exit with 1 if one failed.")
@click.option(
    "--timeout",
    type=SECONDS,
    default=0.0,
    help="With --wait: seconds for all of them, at most; 0: for ever.",
)
@with_output
@with_access
def submit(
    filename: str,
    *,
    namespace: str,
    wait: bool,
    timeout: float,
    output: str,
    access: Access,
) -> None:
    """Apply the AIJobs in FILENAME (- for standard input).

    Each is checked before anything is written: fields that do not exist, places, quantities. What
    only a hub knows (pools, data sets, shares) is said by `kubectl hansa explain` afterwards.
    """
    if timeout and not wait:
        raise click.UsageError("--timeout goes with --wait")
    found = list(read_jobs(filename))
    if not found:
        raise click.UsageError(f"{filename} holds no AIJob")
    made = access.ask(lambda cluster: _submit(cluster, found, namespace))
    shown = [_submitted(made, output)]
    if output not in FORMATS:
        show(shown, output)
        shown = []
    last = access.ask(lambda cluster: _wait(cluster, [*made], timeout)) if wait else []
    ended = [job for job in last if job is not None]
    if wait:
        shown.append(outcomes(ended, output))
    show(shown, output)
    for path, job in zip(made, last, strict=False):
        if job is None:
            name = path.rpartition("/")[2]
            click.echo(f"{name} has not ended within {timeout:g} s", err=output in FORMATS)
            sys.exit(EXIT_TIMED_OUT)
    if not all(ending(job).is_good for job in ended):
        sys.exit(1)


async def _submit(
    cluster: KubeCluster, jobs: list[Manifest], namespace: str
) -> dict[str, Manifest]:
    """Apply jobs; return each as the server has it, by its path."""
    made = {}
    for job in jobs:
        name, space = job["metadata"]["name"], job["metadata"].get("namespace") or namespace
        path = job_path(name, space, cluster.namespace)
        answer = await cluster.apply(path, job, manager=MANAGER)
        metadata = {"namespace": space or cluster.namespace, "name": name}
        made[path] = {"metadata": metadata, "spec": job["spec"], "status": answer.get("status")}
    return made


async def _wait(cluster: KubeCluster, paths: list[str], timeout_s: float) -> list[Manifest | None]:
    """Return how each job ended; None, as the last, for the first that has not in the time of all."""
    last: list[Manifest | None] = []
    clock = SystemClock()
    end_s = clock.monotonic() + timeout_s
    for path in paths:
        left_s = max(LEAST_S, end_s - clock.monotonic()) if timeout_s else 0.0
        last.append(await wait_for(cluster, path, "ended", left_s))
        if last[-1] is None:
            break
    return last


def _submitted(made: Mapping[str, Manifest], output: str) -> Section:
    """Return what was applied: in sentences for people, in rows for programs."""
    rows = [
        (f"{job['metadata']['namespace']}/{job['metadata']['name']}", job["spec"]["pool"], over)
        for job in made.values()
        for over in [has_ended(job)]
    ]
    if output in FORMATS:
        return Section("Submitted", ("JOB", "POOL", "HAD ENDED"), rows)
    again = "  it has ended before and does not run anew: delete it first, or rename it"
    lines = []
    for name, pool, over in rows:
        lines += [f"{name} submitted to pool {pool}", *([again] if over else [])]
    return Section("Submitted", lines=lines)


def read_jobs(filename: str) -> Iterator[Manifest]:
    """Yield the AIJobs of a file; raises ``Terminal`` naming the job, its field and what is wrong."""
    seen: set[tuple[str, str]] = set()
    for document in read_file(filename):
        job = _checked(filename, document)
        key = str(job["metadata"].get("namespace") or ""), job["metadata"]["name"]
        if key in seen:
            raise Terminal(f"{filename}: two AIJobs are called {key[1]}; rename one")
        seen.add(key)
        yield as_sent(job)


def _checked(filename: str, document: Any) -> Manifest:
    if not isinstance(document, dict) or document.get("kind") != AIJOB.name:
        kind = document.get("kind") if isinstance(document, dict) else type(document).__name__
        raise Terminal(f"{filename} holds a {kind}; only AIJobs are submitted")
    meta = document.get("metadata")
    name = meta.get("name") if isinstance(meta, dict) else None
    if not name or not isinstance(name, str):
        raise Terminal(f"{filename}: an AIJob has no metadata.name that is text")
    try:
        AIJobSpec.model_validate(document.get("spec") or {})
    except ValidationError as error:
        raise Terminal(f"{filename}: job {name}: spec.{first_fault(error)}") from error
    return document
