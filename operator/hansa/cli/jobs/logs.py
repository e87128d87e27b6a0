"""``kubectl hansa logs``: what the member let out of the job's log."""

from __future__ import annotations

import re

import click

from hansa.adapters.clock import SystemClock
from hansa.cli.access import Access, with_access
from hansa.cli.display import plain
from hansa.cli.jobs.follow import Reader, kept_log
from hansa.cli.jobs.follow import follow as follow_log
from hansa.cli.jobs.naming import job_path
from hansa.errors import Terminal
from hansa.ports import Manifest
from hansa.reconcile.member.end_reasons import EndReason

FORBIDDEN = 403
ENDS_WITH_A_LOG = frozenset(
    {
        EndReason.SUCCEEDED,
        EndReason.APP_FAILED,
        EndReason.OUT_OF_MEMORY,
        EndReason.SCRATCH_FULL,
        EndReason.RAY_FAILED,
    }
)
"""Of these ends a member that exports logs sends the last lines always; others may come too suddenly."""


@click.command
@click.argument("job")
@click.option("-n", "--namespace", default="", help="Namespace of the job; default: the context's.")
@click.option("-f", "--follow", is_flag=True, help="Show it as it is written, until JOB ends.")
@click.option(
    "--from",
    "start",
    metavar="[RUN:]BYTE",
    default="",
    callback=lambda _context, _option, text: read_place(text),
    help="With -f: where to go on, as an interrupted -f told it; another run begins at its beginning.",
)
@with_access
def logs(job: str, namespace: str, follow: bool, start: Reader, access: Access) -> None:  # noqa: FBT001  # click passes a flag
    """Show all that JOB's driver wrote, or its last lines; with -f as it is written, until JOB ends.

    Logs stay with the member unless its policy exports them (MemberPolicy exports.logs: Tail
    for the last lines, Allow for all). A running job's is shown with -f only. After its end all that
    the member keeps is shown. The member is asked by an annotation on JOB, which takes the right to
    patch AIJobs; without it there are the last lines.
    """
    if start != Reader() and not follow:
        raise click.UsageError("--from goes with -f")
    found = access.ask(lambda cluster: cluster.get(job_path(job, namespace, cluster.namespace)))
    if not follow and kept_log(found.get("status") or {}, SystemClock().now()) is None:
        click.echo(plain(log_of(found)))
        return
    try:
        done, found = access.ask(
            lambda cluster: follow_log(cluster, job_path(job, namespace, cluster.namespace), start)
        )
    except Terminal as error:
        if follow or error.status != FORBIDDEN:
            raise
        click.echo("the member keeps more, but you may not patch the job to ask for it", err=True)
        click.echo(plain(log_of(found)))
        return
    if done.needs_tail:
        click.echo("the end was not followed; the last lines are:", err=True)
        click.echo(plain(log_of(found)))


def read_place(text: str) -> Reader:
    """Return a reader that goes on where an earlier one was interrupted.

    >>> read_place("2:51200")
    Reader(epoch=2, position=51200)
    """
    place = re.fullmatch(r"(?:([1-9][0-9]{0,8}):)?([0-9]{1,15})", text or "0")
    if place is None:
        raise click.BadParameter(f"{text!r} is no place; for example 51200, or 2:51200 of run 2")
    return Reader(int(place[1] or 0), int(place[2]))


def log_of(job: Manifest) -> str:
    """Return the exported log; raises ``Terminal`` with the reason there is none."""
    status = job.get("status", {})
    if status.get("logTail"):
        return str(status["logTail"])
    node = status.get("node")
    if not node:
        raise Terminal("the job has not run anywhere yet; `kubectl hansa explain` says why")
    if not status.get("finishedAt"):
        raise Terminal(
            f"no log yet: {node} sends the last lines when the job has ended; -f shows it before"
        )
    if status.get("logTail") is not None:
        raise Terminal(f"the job wrote nothing: {node} exports logs, and this one is empty")
    reason = _ended_as(status)
    if reason not in ENDS_WITH_A_LOG:
        raise Terminal(
            f"{node} sent no last lines of a run that ended as {reason or 'nobody knows what'}:"
            " `kubectl hansa explain` says why it ended"
        )
    raise Terminal(
        f"{node} does not export logs; its platform team can allow it in MemberPolicy exports.logs"
    )


def _ended_as(status: Manifest) -> str:
    """Return the reason of a job's end, or of its last run's."""
    rows = {row["type"]: row for row in status.get("conditions") or ()}
    ends = (rows[kind] for kind in ("Succeeded", "Failed") if kind in rows)
    row = next((one for one in ends if one["status"] == "True"), rows.get("Running") or {})
    return str(row.get("reason") or "")
