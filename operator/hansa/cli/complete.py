"""``kubectl_complete-hansa``: what kubectl runs to complete ``kubectl hansa …``.

kubectl speaks the protocol of Cobra: a candidate a line, a tab before its description, and last a
colon with a number that says what the shell should do besides.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click
from click.shell_completion import ShellComplete

from hansa.cli.main import cli

NO_FILES, FILES = 4, 0
"""Cobra's ShellCompDirectiveNoFileComp, ShellCompDirectiveDefault."""


def main() -> None:
    """Print candidates for the last argument."""
    click.echo(completed(sys.argv[1:]))


def completed(arguments: Sequence[str]) -> str:
    """Return the candidates for the last of ``arguments``, which may be empty."""
    *before, incomplete = arguments or [""]
    found = ShellComplete(cli, {}, "hansa", "").get_completions(list(before), incomplete)
    wants_file = any(item.type == "file" for item in found)
    rows = [f"{item.value}\t{item.help or ''}".rstrip() for item in found if item.type == "plain"]
    return "\n".join([*rows, f":{FILES if wants_file else NO_FILES}"])
