"""What a command shows, it shows to programs, too: ``-o json`` and ``-o yaml``, in one way."""

from __future__ import annotations

import click
import pytest

from hansa.cli.main import COMMANDS, cli

SHOWS_NOTHING = {
    **dict.fromkeys(("hub", "ledger", "member", "guard", "exporter"), "a process"),
    **dict.fromkeys(("join", "accept", "release", "cancel", "release-result"), "it acts"),
    **dict.fromkeys(("convert", "sign", "keygen", "hub-key", "bundle"), "it writes a document"),
    "logs": "a job's own text",
    "lab": "a checkout's programs",
    "settle": "its parts write documents that are signed",
    "statement": "its --format has documents of the books' own, too",
}
"""Commands without -o, and why."""


@pytest.mark.parametrize("name", COMMANDS)
def test_what_is_shown_is_shown_to_programs(name):
    command = cli.get_command(click.Context(cli), name)
    options = {word: one for one in command.params for word in one.opts}
    assert ("-o" in options) is (name not in SHOWS_NOTHING)
    if name not in SHOWS_NOTHING:
        assert {"table", "json", "yaml"} <= {*options["-o"].type.choices}
