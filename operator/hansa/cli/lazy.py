"""Commands are imported when called: ``kubectl hansa logs`` must not pay for the planner or kopf."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click
from click.shell_completion import CompletionItem


def load(target: str) -> Any:
    """Return the attribute named by ``package.module:attribute``."""
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)


class LazyGroup(click.Group):
    """A group that knows its commands by name, summary and import path."""

    def __init__(self, *, lazy: dict[str, tuple[str, str]], **kwargs: Any) -> None:
        """``lazy``: command → (import path, summary), in the order of the help page."""
        super().__init__(**kwargs)
        self.lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in their written order: the order is the reader's path."""
        del ctx
        return list(self.lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        del ctx
        row = self.lazy.get(cmd_name)
        if row is None:
            return None
        command = load(row[0])
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Print the table of commands without importing any."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in self.lazy.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete a command's name without importing any."""
        del ctx
        return [
            CompletionItem(name, help=summary)
            for name, (_, summary) in self.lazy.items()
            if name.startswith(incomplete)
        ]
