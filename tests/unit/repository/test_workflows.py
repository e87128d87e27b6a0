"""The hosted CI runs what everybody runs, and no step may do more than it needs."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]
WORKFLOWS = {path.stem: path for path in sorted((ROOT / ".github/workflows").glob("*.yaml"))}
EACH = pytest.mark.parametrize("path", WORKFLOWS.values(), ids=WORKFLOWS)
PINNED = re.compile(r"uses: [\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")


def jobs(path):
    return yaml.safe_load(path.read_text())["jobs"]


def commands(path):
    return [
        step["run"] for job in jobs(path).values() for step in job.get("steps", ()) if "run" in step
    ]


def test_the_security_linter_finds_nothing():
    argv = [Path(sys.executable).parent / "zizmor", "--offline", "--pedantic", "--no-progress"]
    answer = subprocess.run(
        [*argv, *WORKFLOWS.values()], capture_output=True, text=True, check=False
    )

    assert answer.returncode == 0, answer.stdout


@EACH
def test_actions_are_pinned_by_commit_and_say_which_version_that_is(path):
    uses = [
        line.strip().removeprefix("- ")
        for line in path.read_text().splitlines()
        if "uses: " in line
    ]
    foreign = [line for line in uses if "uses: ./" not in line]

    assert foreign
    assert [line for line in foreign if not PINNED.match(line)] == []


@EACH
def test_a_workflow_gives_no_right_that_a_job_does_not_ask_for(path):
    assert yaml.safe_load(path.read_text())["permissions"] == {}
    assert all("permissions" in job for job in jobs(path).values())


def test_ci_calls_the_script_that_everybody_runs():
    assert [command for command in commands(WORKFLOWS["ci"]) if command.endswith(".ci/run")]


def test_a_release_is_checked_first():
    found = jobs(WORKFLOWS["release"])

    assert found["publish"]["needs"] == "check"
    assert found["check"]["uses"].endswith(WORKFLOWS["ci"].name)


def test_a_release_makes_what_make_makes():
    targets = re.findall(r"(?m)^([a-z-]+):", (ROOT / "Makefile").read_text())
    called = [c.split()[1:] for c in commands(WORKFLOWS["release"]) if c.startswith("make ")]

    assert called == [["release-check", "release"]]
    assert set(called[0]) <= set(targets)
