"""What a testbed made is written down first, and read back whole."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from e2e.testbed.host import processes
from e2e.testbed.host.clock import wait_until
from e2e.testbed.machines import state
from e2e.testbed.machines.state import MachineRecord, State
from e2e.testbed.machines.teardown import remains, tear_down

MARK = f"unit-mark-{os.getpid()}"
"""Of this run only: another one on the machine has processes of its own."""
MACHINE = MachineRecord(name="hub-0", veth="hansa77m0", cgroup="hansa-unit-test-hub-0")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_a_saved_state_is_read_back():
    saved = State("x", 3, "/nowhere", "local", bridge="hansa3", machines=(MACHINE,))
    saved.save()

    assert state.load("x") == saved
    assert state.load_all() == [saved]


def test_a_forgotten_state_is_gone():
    State("x", 3, "/nowhere", "local").save()
    State("x", 3, "/nowhere", "local").forget()

    assert state.load("x") is None


def test_a_crash_while_saving_leaves_the_old_state():
    first = State("x", 3, "/nowhere", "local")
    first.save()
    state.state_path("x").with_suffix(".partial").write_text('{"name": "x", "num')

    assert state.load("x") == first


NUMBERS = {"none": ([], 1), "gap": ([1, 3], 2), "dense": ([1, 2], 3)}


@pytest.mark.parametrize(("taken", "expected"), NUMBERS.values(), ids=NUMBERS)
def test_the_smallest_free_number_is_taken(taken, expected):
    for number in taken:
        State(str(number), number, "", "local").save()

    claimed = state.claim(lambda number: State("x", number, "", "local"))

    assert claimed.number == expected
    assert state.load("x") == claimed


def test_testbeds_that_begin_at_once_get_numbers_of_their_own():
    def claim(name):
        return state.claim(lambda number: State(name, number, "", "local")).number

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(claim, "abcdefgh")) == [*range(1, 9)]


def test_a_marked_process_is_found_with_its_children(tmp_path):
    started = _marked_shell(tmp_path, "sleep 60 & wait")
    _wait_for_both()

    started.stop()
    wait_until(lambda: not processes.marked(MARK), what="both to end", timeout_s=10)


def test_a_pid_given_to_somebody_else_is_not_signalled(tmp_path):
    started = _marked_shell(tmp_path, "exec sleep 60")
    impostor = processes.Process("old", started.pid, started.started_ticks - 1)

    impostor.stop()

    assert started.alive()
    started.stop()


def test_a_process_dies_with_the_one_that_started_it(tmp_path):
    script = (
        "import pathlib, time; from e2e.testbed.host import processes\n"
        "p = processes.start('s', ['sleep', '60'], log=pathlib.Path('log'), die_with_parent=True)\n"
        "print(p.pid, p.started_ticks, flush=True); time.sleep(60)\n"
    )
    env = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[4])}
    argv = [sys.executable, "-c", script]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=tmp_path, env=env) as parent:
        pid, ticks = map(int, parent.stdout.readline().split())
        child = processes.Process("s", pid, ticks)
        assert child.alive()
        parent.send_signal(signal.SIGKILL)

    wait_until(lambda: not child.alive(), what="the child to end", timeout_s=10)


def test_teardown_removes_processes_folder_and_note(tmp_path):
    folder = tmp_path / "run"
    (folder / "site").mkdir(parents=True)
    (folder / "site" / "x.log").write_text("what happened")
    record = State(MARK, 98, str(folder), "simulated")
    record.save()
    _marked_shell(tmp_path, "trap '' TERM; sleep 60 & wait")
    _wait_for_both()

    tear_down(record)

    assert remains(record) == []
    assert state.load(MARK) is None
    kept = tmp_path / "hansa" / "logs" / MARK / "site" / "x.log"
    assert kept.read_text() == "what happened"


def _wait_for_both() -> None:
    """Until the shell and its child show their mark, which takes a moment after their start."""
    wait_until(lambda: len(processes.marked(MARK)) == 2, what="the child", timeout_s=10)


def _marked_shell(folder, script: str) -> processes.Process:
    env = {processes.MARKER: MARK}
    argv = ["bash", "-c", script]
    return processes.start("shell", argv, log=folder / "shell.log", env=env)
