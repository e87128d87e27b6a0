"""The lab's commands start the checkout's testbed, and say where it is to be had elsewhere."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from hansa.cli.league.lab import lab
from hansa.errors import Terminal

CHECKOUT = Path(__file__).parents[4]
COMMANDS = {
    "up": (["up"], ["demo", "--keep"]),
    "down": (["down"], ["down"]),
    "status": (["status"], ["status"]),
}


@pytest.mark.parametrize(("asked", "started"), COMMANDS.values(), ids=COMMANDS)
def test_a_command_becomes_the_testbeds(asked, started, monkeypatch):
    seen = []
    monkeypatch.chdir(CHECKOUT)
    monkeypatch.setattr(os, "execv", lambda *argv: seen.append(argv))
    CliRunner().invoke(lab, asked, catch_exceptions=False)
    assert seen == [(sys.executable, [sys.executable, "-m", "e2e", *started])]


SLOW_TO_END = """
import pathlib, time
try:
    print("up", flush=True)
    time.sleep(60)
finally:
    time.sleep(1)
    pathlib.Path("cleared").touch()
"""


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_testbed_that_is_stopped_has_the_time_to_clear_up(tmp_path, stop):
    (tmp_path / "e2e" / "testbed").mkdir(parents=True)
    ends = "import signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(1))\n"
    (tmp_path / "e2e" / "__main__.py").write_text(ends + SLOW_TO_END)
    # A shell's background jobs ignore SIGINT, and what they start does, too.
    heeds = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    argv = [sys.executable, "-c", f"{heeds}; from hansa.cli.main import cli; cli()", "lab", "up"]
    path = {"PYTHONPATH": str(CHECKOUT / "operator")}
    with subprocess.Popen(
        argv, cwd=tmp_path, env=os.environ | path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as lives:
        assert lives.stdout.readline() == b"up\n"
        lives.send_signal(stop)
        assert lives.wait(timeout=30) != 0
    assert (tmp_path / "cleared").exists()


def test_no_choice_is_offered_that_is_always_refused():
    """Of the testbed's providers one alone can be left running."""
    assert [command.params for command in lab.commands.values()] == [[], [], []]


@pytest.mark.parametrize(("_", "started"), COMMANDS.values(), ids=COMMANDS)
def test_the_testbed_knows_what_is_asked_of_it(_, started):
    argv = [sys.executable, "-m", "e2e", *started, "--help"]
    subprocess.run(argv, cwd=CHECKOUT, check=True, capture_output=True)


def test_elsewhere_the_way_out_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Terminal, match=r"no checkout of Hansa.*run-on-kind"):
        CliRunner().invoke(lab, ["up"], catch_exceptions=False)
