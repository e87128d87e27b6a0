"""The lab's commands start the checkout's testbed, and say where it is to be had elsewhere."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from hansa.cli.league.lab import lab
from hansa.errors import Terminal

CHECKOUT = Path(__file__).parents[4]
COMMANDS = {
    "up": (["up"], ["demo", "--keep", "--provider", "local"]),
    "up without root": (
        ["up", "--provider", "simulated"],
        ["demo", "--keep", "--provider", "simulated"],
    ),
    "down": (["down"], ["down"]),
    "status": (["status"], ["status"]),
}


@pytest.mark.parametrize(("asked", "started"), COMMANDS.values(), ids=COMMANDS)
def test_a_command_starts_the_testbed_and_exits_as_it_does(asked, started, monkeypatch):
    seen = []

    def start(argv, *, check):
        seen.append((argv, check))
        return subprocess.CompletedProcess(argv, 7)

    monkeypatch.chdir(CHECKOUT)
    monkeypatch.setattr(subprocess, "run", start)
    assert CliRunner().invoke(lab, asked).exit_code == 7
    assert seen == [([sys.executable, "-m", "e2e", *started], False)]


@pytest.mark.parametrize(("_", "started"), COMMANDS.values(), ids=COMMANDS)
def test_the_testbed_knows_what_is_asked_of_it(_, started):
    argv = [sys.executable, "-m", "e2e", *started, "--help"]
    subprocess.run(argv, cwd=CHECKOUT, check=True, capture_output=True)


def test_elsewhere_the_way_out_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Terminal, match=r"no checkout of Hansa.*run-on-kind"):
        CliRunner().invoke(lab, ["up"], catch_exceptions=False)
