"""``hansa lab``: a whole league of real clusters on this machine, to touch; it comes with the checkout."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from hansa.errors import Terminal

TESTBED = Path("e2e", "testbed")
"""Where a checkout has what brings clusters up; it is no part of the installed package."""


@click.group()
def lab() -> None:
    """A league with real pods on this machine: a hub, three members, data, jobs that ran."""


@lab.command()
@click.option(
    "--provider",
    type=click.Choice(["local", "simulated"]),
    default="local",
    show_default=True,
    help="local: real pods, needs root; simulated: pods are simulated, no root.",
)
def up(provider: str) -> None:
    """Bring the league up, run the demo's jobs in it, leave it, and say what to try next."""
    run("demo", "--keep", "--provider", provider)


@lab.command()
def down() -> None:
    """Take away every league that was left on this machine."""
    run("down")


@lab.command()
def status() -> None:
    """Say which leagues are left on this machine, and what of them exists."""
    run("status")


def run(*args: str) -> None:
    """Run a command of the checkout's testbed; exits as it does."""
    done = subprocess.run([*program(Path.cwd()), *args], check=False)  # noqa: S603  # our own words
    sys.exit(done.returncode)


def program(folder: Path) -> Sequence[str]:
    """Return the testbed's program where ``folder`` is a checkout; raises ``Terminal`` elsewhere."""
    if not (folder / TESTBED).is_dir():
        raise Terminal(
            f"{folder} is no checkout of Hansa: the lab's clusters come with the source."
            " Clone it, `make setup`, and run this there with .venv/bin/hansa;"
            " or install the charts into clusters of kind (docs/how-to/run-on-kind.md)"
        )
    return (sys.executable, "-m", "e2e")
