"""Entry point of ``hansa`` and ``kubectl-hansa``: the table of commands, and errors as sentences.

The processes among them are listed in ``processes``.
"""

from __future__ import annotations

import sys

import click

import hansa
from hansa.cli import processes
from hansa.cli.lazy import LazyGroup
from hansa.errors import HansaError, NotFound, Retryable, Terminal

COMMANDS = {
    "explain": ("hansa.cli.jobs.explain:explain", "Why a job is where it is, or is nowhere."),
    "what-if": ("hansa.cli.jobs.whatif:what_if", "Plan a changed league, without changing it."),
    "submit": ("hansa.cli.jobs.submit:submit", "Check jobs and apply them."),
    "queue": ("hansa.cli.jobs.queue:queue", "What waits, in order, and for what."),
    "wait": ("hansa.cli.jobs.wait:wait", "Wait until a job is placed, runs or has ended."),
    "cancel": ("hansa.cli.jobs.wait:cancel", "Stop a job, or hold it back."),
    "quote": ("hansa.cli.books.quote:quote", "What a job will cost, before submitting it."),
    "bill": ("hansa.cli.books.bill:bill", "What a job was charged, receipt by receipt."),
    "statement": (
        "hansa.cli.books.statement:statement",
        "An institution's month: hours, energy, CO2 and amounts.",
    ),
    "balance": ("hansa.cli.books.balance:balance", "What institutions owe and are owed."),
    "settle": (
        "hansa.cli.books.settlement.group:settle",
        "Set a period's debts off, have all sign, pay what is left.",
    ),
    "logs": ("hansa.cli.jobs.logs:logs", "The last lines of a job, where the member exports them."),
    "receipts": ("hansa.cli.receipts.receipts:receipts", "What a job's runs used, as signed."),
    "verify": ("hansa.cli.receipts.verify:verify", "Check a bundle of receipts, offline."),
    "ropa": (
        "hansa.cli.receipts.ropa:ropa",
        "All processing of a data set, as GDPR art. 30 asks for it.",
    ),
    "status": ("hansa.cli.league.overview:status", "Nodes, pools and jobs on one screen."),
    "top": ("hansa.cli.league.overview:top", "GPUs by institution."),
    "nodes": ("hansa.cli.league.overview:nodes", "The members, or the data sets they announce."),
    "join": ("hansa.cli.league.join:join", "Make a member's key and ask a hub to let it in."),
    "accept": ("hansa.cli.league.accept:accept", "Accept a node into the league and pin its key."),
    "release": (
        "hansa.cli.league.release:release",
        "Sign that nothing runs any more at a node that is gone.",
    ),
    "convert": ("hansa.cli.convert.command:convert_command", "Make an AIJob of a RayJob."),
    "sign": ("hansa.cli.jobs.sign:sign", "Sign a job's work as the owner of its data."),
    "release-result": (
        "hansa.cli.jobs.release_result:release_result",
        "Release a result that waits at a member, as an owner of its data.",
    ),
    "keygen": ("hansa.cli.league.keys:keygen", "Make a key pair for a hub or a data owner."),
    "hub-key": ("hansa.cli.league.keys:hub_key", "Print the public half of a signing key."),
    "doctor": ("hansa.cli.league.doctor:doctor", "Check a cluster before or after installing."),
    "bundle": (
        "hansa.cli.bundling.bundle:bundle",
        "Pack charts and images for a site without a network.",
    ),
    "lab": ("hansa.cli.league.lab:lab", "A whole league on this machine, from a checkout."),
    **processes.COMMANDS,
}

EXIT_FAILED = 1
"""The request was understood and could not be fulfilled; a usage error exits with 2."""

_NO_SUCH_KIND = ("404 page not found", "could not find the requested resource")
"""Words of API servers, and of what stands before them, for a path that nobody serves."""
_UNAUTHENTICATED, _FORBIDDEN = 401, 403


@click.group(cls=LazyGroup, lazy=COMMANDS)
@click.version_option(hansa.__version__, prog_name="hansa")
def cli() -> None:
    """A league of sovereign AI clusters."""


def main() -> None:
    """Run the command line; what went wrong is one sentence on stderr."""
    try:
        cli(prog_name="hansa")
    except HansaError as error:
        click.echo(f"Error: {sentence(error)}", err=True)
        sys.exit(EXIT_FAILED)


def sentence(error: HansaError) -> str:
    """Return what went wrong and the way out."""
    text = str(error)
    if isinstance(error, NotFound) and any(words in text for words in _NO_SUCH_KIND):
        return "this cluster does not know Hansa's kinds; is it the hub? `hansa doctor` tells"
    if isinstance(error, Retryable):
        return f"{text}; check --kubeconfig and --context, or try again"
    if isinstance(error, Terminal) and error.status == _UNAUTHENTICATED:
        return (
            f"{text}; the server does not know who asks: log in again, or choose another --context"
        )
    if isinstance(error, Terminal) and error.status == _FORBIDDEN:
        return f"{text}; ask the platform team for that right, or choose another --context"
    return text
