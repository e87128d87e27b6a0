"""``kubectl hansa logs``: what the member let out of the job's log."""

from __future__ import annotations

import click

from hansa.api.kinds import AIJOB
from hansa.cli.access import Access, with_access
from hansa.cli.display import plain
from hansa.errors import Terminal
from hansa.ports import Manifest


@click.command
@click.argument("job")
@click.option("-n", "--namespace", default="", help="Namespace of the job; default: the context's.")
@with_access
def logs(job: str, namespace: str, access: Access) -> None:
    """Show the last lines of JOB's driver.

    Logs stay with the member unless its policy exports them (MemberPolicy exports.logs: Allow).
    """
    found = access.ask(lambda cluster: cluster.get(AIJOB.path(namespace or cluster.namespace, job)))
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
        raise Terminal(f"no log yet: {node} sends the last lines when the job has ended")
    if status.get("logTail") is not None:
        raise Terminal(f"the job wrote nothing: {node} exports logs, and this one is empty")
    raise Terminal(
        f"{node} does not export logs; its platform team can allow it in MemberPolicy exports.logs"
    )
