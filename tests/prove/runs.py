"""The parts of ``make prove`` that are other programs: the simulation, and tests on real API servers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests import stop_times
from tests.apiserver.lock import table

ROOT = Path(__file__).parents[2]
MODEL = "tests/apiserver/simulation/test_model.py"
LOCK = "tests/apiserver/lock/test_second_lock.py"
WAYS_OUT = (
    "test_a_pod_with_a_way_out",
    "test_a_rayjob_with_a_way_out",
    "test_a_request_with_a_way",
)
JUDGE = "tests/unit/grants/test_escapes.py"
STOP_WITHIN_S = 30


@dataclass(frozen=True, slots=True)
class Found:
    """Figures of one part, why others are missing, and what is wrong."""

    figures: Mapping[str, Any] = field(default_factory=dict)
    not_run: Mapping[str, str] = field(default_factory=dict)
    wrong: tuple[str, ...] = ()


def simulation(seeds: int, base: int, *, workers: int) -> Found:
    """Play seeds, some processes at a time."""
    options = (f"--seeds={seeds}", f"--base={base}", f"--workers={workers}")
    figures, words = _printed("tests.simulation", *options, lines=1 << 20)
    # Not its crash points, which are in virtual time: told are those on real servers.
    told = {name: figures.get(name) for name in ("simulation_seeds", "site_hours", "violations")}
    return Found(told, dict.fromkeys(told, words), wrong=(words,) if words else ())


def model(operations: int, seed: int) -> Found:
    """Compare the model of an API server with a real one."""
    environment = {"HANSA_MODEL_OPERATIONS": str(operations), "HANSA_SEED": str(seed)}
    outcomes = _tested(MODEL, environment=environment)
    if outcomes.failed:
        return Found(not_run={"model_operations": "they differ"}, wrong=outcomes.failed)
    return _counted(outcomes, "model_operations", lambda _: operations)


def escapes() -> Found:
    """Try every escape at the second lock alone, and at the judge each that a grant can express."""
    said = table.counts(table.rows())
    at_judge = _tested(JUDGE, "-k", "with_a_way_out_is_refused")
    at_lock = _tested(LOCK, "-k", " or ".join(WAYS_OUT))
    judge = _counted(at_judge, "refused_by_judge", lambda passed: passed)
    lock = _counted(at_lock, "refused_by_lock", lambda passed: passed)
    found = {"escapes": said["escapes"], **judge.figures, **lock.figures}
    few = [
        f"{name}: {found[name]} of {said[name]}"
        for name in ("refused_by_judge", "refused_by_lock")
        if name in found and found[name] != said[name]
    ]
    if judge.figures and not few:
        found["refused_by_judge_as_a_field"] = said["refused_by_judge_as_a_field"]
    not_run = {**judge.not_run, **lock.not_run}
    return Found(found, not_run, (*judge.wrong, *lock.wrong, *few))


def hostile(rounds: int, seconds: float, seed: int) -> Found:
    """Let a hub turn against a real agent, some rounds long."""
    options = (f"--rounds={rounds}", f"--seconds={seconds}", f"--seed={seed}")
    figures, words = _printed("tests.apiserver.fuzz", *options)
    told = {name: figures.get(name) for name in ("hostile_grants", "agent_deaths")}
    return Found(told, dict.fromkeys(told, words), (words,) if words else ())


def stopping() -> Found:
    """Stop fifty running jobs in each situation."""
    figures, words = _printed("tests.stop_times")
    times = figures.get("stop_p99_s") or {}
    p99s = {name: times.get(name) for name in stop_times.SITUATIONS} if times else {}
    late = [f"{name}: pods gone after {p99} s" for name, p99 in p99s.items() if not _soon(p99)]
    return Found({"stop_p99_s": p99s or None}, {"stop_p99_s": words}, tuple(late))


PLANS = {"stale": 60, "unobserved": 40, "ambiguous": 40, "partition": 40}
"""Least of each kind, beside the crashes."""
CRASHES = 3
"""Around each learned write: before it, with its answer lost, and after it."""
REAL = 20
"""Plans whose programs are processes of their own."""


def plans(seed: int) -> Found:
    """Let one thing go wrong at a time between our programs and real API servers."""
    counts = (f"--{kind}={count}" for kind, count in PLANS.items())
    options = (f"--seed={seed}", "--every-write", f"--real={REAL}", *counts)
    figures, words = _printed("tests.apiserver.faults", *options, lines=1 << 20)
    told = {name: figures.get(name) for name in ("plans", "crash_points", "violations")}
    wrong = [words] if words else []
    if figures:
        played = told["plans"] or {}
        counts_of = {kind: (played.get(kind, 0), least) for kind, least in PLANS.items()}
        writes = figures.get("learned_writes", {}).get("tasks", 0)
        counts_of["crash"] = (told["crash_points"] or 0, max(1, CRASHES * writes))
        wrong += [f"{n} of {m} plans: {kind}" for kind, (n, m) in counts_of.items() if n < m]
        wrong += [f"its moment never came: {plan}" for plan in figures.get("missed", ())]
    return Found(told, dict.fromkeys(told, words), tuple(wrong))


def _soon(p99_s: float | None) -> bool:
    return p99_s is not None and p99_s <= STOP_WITHIN_S


def _printed(module: str, *options: str, lines: int = 40) -> tuple[dict[str, Any], str]:
    """Run a program that prints one JSON line last; its figures, and its last lines if it failed."""
    command = (sys.executable, "-m", module, *options)
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    said = done.stdout.splitlines()
    figures = json.loads(said[-1]) if said and said[-1].startswith("{") else {}
    return figures, "" if done.returncode == 0 else "\n".join([*said[-lines:], done.stderr[-2000:]])


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What became of tests."""

    passed: int = 0
    failed: tuple[str, ...] = ()
    skipped: str = ""
    """Why, of the last that was."""


def _counted(outcomes: Outcomes, name: str, count: Any) -> Found:
    if not outcomes.passed:
        why = outcomes.skipped or "its tests failed"
        return Found(not_run={name: why}, wrong=outcomes.failed)
    return Found({name: count(outcomes.passed)}, wrong=outcomes.failed)


def _tested(*arguments: str, environment: Mapping[str, str] | None = None) -> Outcomes:
    with tempfile.TemporaryDirectory(prefix="hansa-prove-") as folder:
        report = Path(folder) / "report.xml"
        command = (sys.executable, "-m", "pytest", "-q", "-n", "0", f"--junitxml={report}")
        command = (*command, "-o", "junit_family=xunit1")  # what tests note down goes with no other
        done = subprocess.run(
            (*command, *arguments),
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            capture_output=True,
            text=True,
            check=False,
        )
        if not report.exists():
            return Outcomes(failed=(f"{' '.join(arguments)}: {done.stdout[-800:]}",))
        return _read(report)


def _read(report: Path) -> Outcomes:
    passed, failed, skipped = 0, [], ""
    for case in ET.parse(report).iter("testcase"):  # pytest's own
        bad = [child for child in case if child.tag in ("failure", "error")]
        left = [child for child in case if child.tag == "skipped"]
        if bad:
            failed.append(f"{case.get('name')}: {bad[0].get('message', '')[:300]}")
        elif left:
            skipped = str(left[0].get("message", "skipped"))
        else:
            passed += 1
    return Outcomes(passed, tuple(failed), skipped)
