"""``hansa lab``: a whole league of real clusters on this machine, to touch; it comes with the checkout."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import click

from hansa.errors import Terminal

TESTBED = Path("e2e", "testbed")
"""Where a checkout has what brings clusters up; it is no part of the installed package."""


@click.group()
def lab() -> None:
    """A league with real pods on this machine: a hub, three members, data, jobs that ran."""


@lab.command()
def up() -> None:
    """Bring the league up, run the demo's jobs in it, leave it, and say what to try next; needs root."""
    run("demo", "--keep")


@lab.command()
def down() -> None:
    """Take away every league that was left on this machine."""
    run("down")


@lab.command()
def status() -> None:
    """Say which leagues are left on this machine, and what of them exists."""
    run("status")


def run(*args: str) -> NoReturn:
    """Become a command of the checkout's testbed: a stop reaches it, and has the time to clear up that it takes."""
    argv = [*program(Path.cwd()), *args]
    sys.stdout.flush()
    os.execv(argv[0], argv)  # noqa: S606  # our own words


def program(folder: Path) -> Sequence[str]:
    """Return the testbed's program where ``folder`` is a checkout; raises ``Terminal`` elsewhere."""
    if not (folder / TESTBED).is_dir():
        raise Terminal(
            f"{folder} is no checkout of Hansa: the lab's clusters come with the source."
            " Clone it, `make setup`, and run this there with .venv/bin/hansa;"
            " or install the charts into clusters of kind (docs/how-to/run-on-kind.md)"
        )
    return (sys.executable, "-m", "e2e")
