"""The long-running processes: their commands, and where the charts' values hold their settings.

Each reads its settings from the environment, as charts set them. A process is one row here: ``NAME`` is
``hansa.NAME.app:main``, with ``NameSettings`` in ``hansa.NAME.settings``.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import click

from hansa.cli.lazy import LazyGroup, load


@click.command
def hub() -> None:
    """Run the hub: place jobs, write signed grants, report.

    Settings come from HANSA_HUB_* environment variables.
    """
    load("hansa.hub.app:main")()


@click.command
def ledger() -> None:
    """Run the ledger: take receipts in, keep the books, tell projects what they have spent.

    Settings come from HANSA_LEDGER_* environment variables.
    """
    load("hansa.ledger.app:main")()


MEMBER_COMMANDS = {
    "stop": ("hansa.cli.league.stop:stop", "Stop all league work on this cluster, now."),
    "witness": (
        "hansa.cli.league.witness:witness",
        "Take part as a witness of the league's transparency log.",
    ),
}


@click.group(cls=LazyGroup, lazy=MEMBER_COMMANDS, invoke_without_command=True)
@click.pass_context
def member(context: click.Context) -> None:
    """Run the member agent: judge grants by the local policy, run and report them.

    Settings come from HANSA_MEMBER_* environment variables.
    """
    if context.invoked_subcommand is None:
        load("hansa.member.app:main")()


@click.command
def guard() -> None:
    """Run the guard: end runs that must not go on, whatever the agent does.

    Settings come from HANSA_GUARD_* environment variables.
    """
    load("hansa.guard.app:main")()


@click.command
def exporter() -> None:
    """Run the GPU exporter: one page of metrics for the GPUs of this machine.

    Settings come from HANSA_EXPORTER_* environment variables.
    """
    load("hansa.exporter.app:main")()


class Process(NamedTuple):
    """One process: ``hansa NAME``."""

    name: str
    summary: str
    """In the table of commands."""
    chart: str
    values: tuple[str, ...]
    """Path of its settings in the chart's values."""

    @property
    def settings(self) -> Any:
        """Its model of settings, a subclass of ``BaseSettings``: imported now."""
        return load(f"hansa.{self.name}.settings:{self.name.title()}Settings")


PROCESSES = (
    Process("hub", "Run the hub.", "hansa-hub", ("settings",)),
    Process("ledger", "Run the ledger.", "hansa-hub", ("ledger", "settings")),
    Process("member", "Run the member agent.", "hansa-member", ("settings",)),
    Process(
        "guard", "Run the guard of a member's running work.", "hansa-member", ("guard", "settings")
    ),
    Process("exporter", "Run the GPU exporter.", "hansa-member", ("exporter", "settings")),
)
COMMANDS = {one.name: (f"{__name__}:{one.name}", one.summary) for one in PROCESSES}
