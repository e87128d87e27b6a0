"""Seeds drawn anew, one seed twice, and the parts of the model by themselves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from tests.simulation.invariants import Watchman
from tests.simulation.servers.objects import applied, merged, parse, selector
from tests.simulation.story import FAULTS_UNTIL_S, play

FIXED = {**os.environ, "PYTHONHASHSEED": "0", "NUMBA_DISABLE_JIT": "1"}


def simulate(*arguments: str) -> str:
    command = (sys.executable, "-m", "tests.simulation", *arguments)
    done = subprocess.run(command, env=FIXED, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


PARTS, SEEDS_A_PART = 5, 10
"""Some six minutes of one processor."""


@pytest.mark.parametrize("_part", range(PARTS))
def test_no_seed_violates_anything(_part, lot, record_property):
    said = simulate("--base", str(lot), "--seeds", str(SEEDS_A_PART)).splitlines()
    figures = json.loads(said[-1])
    record_property("simulation", f"{said[0]}: {said[-1]}")
    assert figures["simulation_seeds"] == SEEDS_A_PART
    assert figures["violations"] == 0


def test_what_is_violated_after_the_faults_ends_the_play(monkeypatch):
    def accuse(watchman):
        if watchman._now_s() > FAULTS_UNTIL_S + 60:
            watchman.accuse("of a test")

    monkeypatch.setattr(Watchman, "check_laws", accuse)
    monkeypatch.setattr(Watchman, "check_settled", lambda watchman: watchman.accuse("not settled"))
    assert any("of a test" in one for one in play(5).violations)


def test_processes_beside_each_other_play_what_one_plays():
    one, two = (simulate("--base=5", "--seeds=2", f"--workers={n}").splitlines() for n in (1, 2))
    told = [json.loads(lines[-1]) for lines in (one, two)]
    for figures in told:
        del figures["cpu_seconds"]
    assert told[0]["simulation_seeds"] == 2
    assert told[0] == told[1]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_run_that_is_ended_tells_what_it_did_and_how_to_go_on(workers):
    command = ("--base=5", "--seeds=1000", f"--workers={workers}")
    run = subprocess.Popen(
        (sys.executable, "-m", "tests.simulation", *command),
        env=FIXED,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert "5..1004" in run.stdout.readline()
    os.killpg(run.pid, signal.SIGTERM)  # as a terminal does: every process hears of it
    said = run.communicate()[0].splitlines()
    done = json.loads(said[-1])["simulation_seeds"]
    assert said[-2].endswith(f"--base {5 + done} --seeds {1000 - done}")
    assert (run.returncode, done <= workers) == (0, True)


def test_a_seed_replays_to_the_same_log_in_another_process():
    first, second = simulate("--seed", "5"), simulate("--seed", "5")
    assert first.splitlines()[-1] == second.splitlines()[-1]
    assert first.splitlines()[-1] != simulate("--seed", "6").splitlines()[-1]


PATHS = {
    "/api/v1/namespaces/clinic": ("/api/v1/namespaces", ("", "clinic"), ""),
    "/api/v1/namespaces/clinic/status": ("/api/v1/namespaces", ("", "clinic"), "status"),
    "/api/v1/namespaces/clinic/pods": ("/api/v1/pods", ("clinic", ""), ""),
    "/apis/a.b/v1/namespaces/n/cs/x/status": ("/apis/a.b/v1/cs", ("n", "x"), "status"),
}


@pytest.mark.parametrize("path", PATHS)
def test_paths_are_taken_apart(path):
    where = parse(path)
    assert (where.collection, where.key, where.sub) == PATHS[path]


def test_selectors_choose_by_value_by_set_and_by_presence():
    thing = {"metadata": {"name": "x", "labels": {"a": "1"}}}
    chosen = {"a=1", "a", "a in (0,1)", "a=1,a in (1)", ""}
    for labels in (*chosen, "a=2", "b", "a in (2)", "a=1,b=1"):
        assert selector(labels, "")(thing) == (labels in chosen), labels
    assert selector("", "metadata.name=x")(thing)
    assert not selector("", "metadata.name=y")(thing)


def test_apply_takes_back_what_its_manager_no_longer_says_and_nothing_else():
    held = {"a": 1, "b": 2, "rows": [{"type": "A", "v": 1}, {"type": "B", "v": 1}]}
    before, now = {"a": 1, "rows": [{"type": "A", "v": 1}]}, {"rows": [{"type": "C", "v": 3}]}
    assert applied(held, before, now) == {
        "b": 2,
        "rows": [{"type": "B", "v": 1}, {"type": "C", "v": 3}],
    }


def test_a_merge_patch_takes_away_what_is_null():
    assert merged({"a": {"b": 1, "c": 2}}, {"a": {"b": None}}) == {"a": {"c": 2}}
