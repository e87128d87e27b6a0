"""``kubectl hansa logs``: what the member let out of the job's log."""

from __future__ import annotations

import click

from hansa.adapters.clock import SystemClock
from hansa.api.kinds import AIJOB
from hansa.cli.access import Access, with_access
from hansa.cli.display import plain
from hansa.cli.jobs.follow import follow as follow_log
from hansa.cli.jobs.follow import kept_log
from hansa.errors import Terminal
from hansa.ports import Manifest

FORBIDDEN = 403


@click.command
@click.argument("job")
@click.option("-n", "--namespace", default="", help="Namespace of the job; default: the context's.")
@click.option("-f", "--follow", is_flag=True, help="Show it as it is written, until JOB ends.")
@click.option(
    "--from",
    "start",
    type=click.IntRange(min=0),
    default=0,
    help="With -f: the byte to begin at, as an interrupted -f told it.",
)
@with_access
def logs(job: str, namespace: str, follow: bool, start: int, access: Access) -> None:  # noqa: FBT001  # click passes a flag
    """Show all that JOB's driver wrote, or its last lines; with -f as it is written, until JOB ends.

    Logs stay with the member unless its policy exports them (MemberPolicy exports.logs: Tail
    for the last lines, Allow for all). A running job's is shown with -f only. After its end all that
    the member keeps is shown. The member is asked by an annotation on JOB, which takes the right to
    patch AIJobs; without it there are the last lines.
    """
    if start and not follow:
        raise click.UsageError("--from goes with -f")
    found = access.ask(lambda cluster: cluster.get(AIJOB.path(namespace or cluster.namespace, job)))
    if not follow and kept_log(found.get("status") or {}, SystemClock().now()) is None:
        click.echo(plain(log_of(found)))
        return
    try:
        done, found = access.ask(
            lambda cluster: follow_log(
                cluster, AIJOB.path(namespace or cluster.namespace, job), start
            )
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
    raise Terminal(
        f"{node} does not export logs; its platform team can allow it in MemberPolicy exports.logs"
    )
