"""The long-running processes. Each reads its settings from the environment, as charts set them."""

from __future__ import annotations

import click

from hansa.cli.lazy import load


@click.command
def hub() -> None:
    """Run the hub: place jobs, write signed grants, report.

    Settings come from HANSA_HUB_* environment variables.
    """
    load("hansa.hub.app:main")()


@click.command
def member() -> None:
    """Run the member agent: judge grants by the local policy, run and report them.

    Settings come from HANSA_MEMBER_* environment variables.
    """
    load("hansa.member.app:main")()


@click.command
def exporter() -> None:
    """Run the GPU exporter: one page of metrics for the GPUs of this machine.

    Settings come from HANSA_EXPORTER_* environment variables.
    """
    load("hansa.exporter.app:main")()
