"""Every part of ``make prove`` can be run, none costs another its figures, and nothing is passed over."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.prove import __main__ as prove
from tests.prove import runs, sensitivity
from tests.prove.defects.defect import Defect
from tests.prove.defects.table import DEFECTS
from tests.prove.stand_ins import Programs

SIMULATION, FAULTS = "tests.simulation", "tests.apiserver.faults"
ONE = next(name for name, defect in DEFECTS.items() if defect.suites)


@pytest.fixture
def programs(monkeypatch):
    stand_in = Programs(monkeypatch)
    monkeypatch.setattr(subprocess, "run", stand_in)
    monkeypatch.setattr(sensitivity.shutil, "copytree", _one_file)
    return stand_in


def _one_file(root, to, **_):
    """Copy of the checkout the one file that the defect changes."""
    (to / DEFECTS[ONE].file).parent.mkdir(parents=True)
    (to / DEFECTS[ONE].file).write_bytes((root / DEFECTS[ONE].file).read_bytes())


@pytest.fixture
def proved(programs, monkeypatch, capsys):
    """Run ``python -m tests.prove`` over stand-ins; its exit code, its figures, what it said is wrong."""

    assert subprocess.run is programs

    def prove_it(*options):
        always = ("prove", "--base=7", "--workers=1", "--defect", ONE)
        monkeypatch.setattr(sys, "argv", [*always, *options])
        code = prove.main()
        lines = capsys.readouterr().out.splitlines()
        wrong = [line for line in lines if line.startswith("WRONG: ")]
        return code, json.loads(lines[-1]), "\n".join(wrong)

    return prove_it


@pytest.mark.parametrize("part", prove.PARTS)
def test_a_part_gives_all_its_figures(proved, part):
    code, figures, wrong = proved("--only", part)
    assert (code, wrong) == (0, "")
    given = {name for name, value in figures.items() if value is not None} - {"not_run"}
    assert given == set(prove.FIELDS[part])
    assert figures["not_run"].keys() == set(prove.ORDER) - given


def test_a_whole_run_leaves_nothing_out(proved):
    code, figures, wrong = proved()
    assert (code, wrong, figures["not_run"]) == (0, "", {})


@pytest.mark.parametrize("part", prove.PARTS)
def test_a_part_that_breaks_costs_no_other_its_figures(proved, part, monkeypatch):
    def breaks(*_):
        raise AttributeError("RAYJOBS")

    monkeypatch.setattr(prove, "PARTS", {**prove.PARTS, part: breaks})
    code, figures, wrong = proved()
    assert code == 1
    assert figures["not_run"].keys() == set(prove.FIELDS[part])
    for why in (*figures["not_run"].values(), wrong):
        assert f"{part} broke: AttributeError('RAYJOBS')" in why


SILENT = {
    "simulation": {SIMULATION},
    "plans": {FAULTS},
    "model": {runs.MODEL},
    "escapes": {runs.LOCK},
    "hostile": {"tests.apiserver.fuzz"},
    "stopping": {"tests.stop_times"},
}


@pytest.mark.parametrize("part", SILENT)
def test_a_figure_that_is_missing_is_wrong(programs, proved, part):
    programs.silent = SILENT[part]
    code, figures, wrong = proved()
    assert code == 1
    assert {*figures["not_run"]} <= set(prove.FIELDS[part])
    assert all(f"no {name}: " in wrong for name in figures["not_run"])


def test_violations_are_those_of_all_parts(programs, proved):
    programs.said = {SIMULATION: {"violations": 2}, FAULTS: {"violations": 3}}
    code, figures, _ = proved()
    assert (code, figures["violations"]) == (1, 5)


def test_a_model_that_differs_compares_nothing(programs, proved):
    programs.failing = {runs.MODEL}
    code, figures, wrong = proved("--only", "model")
    assert (code, figures["model_operations"]) == (1, None)
    assert "x: they differ" in wrong


PLANS = {
    "a kind that nobody played": ({"plans": {**runs.PLANS, "stale": 0}}, "0 of 60 plans: stale"),
    "a kind left out": ({"plans": {"stale": 99}}, "0 of 40 plans: unobserved"),
    "writes around which nobody crashed": (
        {"learned_writes": {"tasks": 9, "processes": 1}},
        "15 of 27 plans: crash",
    ),
    "nothing learned": ({"learned_writes": {}, "crash_points": 0}, "0 of 1 plans: crash"),
    "a moment that never came": (
        {"missed": ["crash before x #1"]},
        "its moment never came: crash before x #1",
    ),
}


@pytest.mark.parametrize(("said", "told"), PLANS.values(), ids=PLANS)
def test_a_plan_that_was_not_played_is_wrong(programs, proved, said, told):
    programs.said = {FAULTS: said}
    code, _, wrong = proved("--only", "plans")
    assert code == 1
    assert told in wrong


SAID = {
    "a violation": (1, "seed 5 violates:\n  two live runs", True),
    "a traceback": (1, 'Traceback:\n  print(f"seed {seed} violates:")\nKeyError: 7', False),
    "a traceback after a violation": (1, "seed 5 violates:\n  two live runs\nKeyError: 7", True),
    "nothing": (0, "base seed 5: seeds 5..9", False),
}
PLAYED = {
    "a violation": (1, "crash before x #1\n  VIOLATION two live runs", True),
    "a league that did not begin": (1, "VIOLATION of nothing\nKeyError: 7", False),
}


@pytest.mark.parametrize(("code", "said", "seen"), SAID.values(), ids=SAID)
def test_a_seed_sees_a_defect_by_a_violation_only(tmp_path, monkeypatch, code, said, seen):
    assert _is_seen(tmp_path, monkeypatch, Defect("file", "a", "b", seeds=5), (code, said)) == seen


@pytest.mark.parametrize(("code", "said", "seen"), PLAYED.values(), ids=PLAYED)
def test_a_plan_sees_a_defect_by_a_violation_only(tmp_path, monkeypatch, code, said, seen):
    assert _is_seen(tmp_path, monkeypatch, Defect("file", "a", "b", plan="x"), (code, said)) == seen


def _is_seen(folder, monkeypatch, defect, said):
    done = subprocess.CompletedProcess((), said[0], said[1], "")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: done)
    monkeypatch.setattr(sensitivity.shutil, "copytree", lambda _, to, **__: to.mkdir())
    copy = sensitivity.Copy(folder / "copy")
    (copy.root / "file").write_text("a")
    return not copy.judge(defect, base=0)
