"""The testbed's cheat: it tells a result without computing one, and the right program comes back."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from e2e.demo.jobs import EXAMPLES, load_example
from e2e.demo.verification.chapter import FAKED, HONEST
from e2e.demo.verification.cheat import (
    CHEATING_PROGRAM,
    MADE_UP,
    PROGRAM,
    CheatError,
    cheating,
)

RIGHT = (EXAMPLES / "programs" / "digits.py").read_bytes()


def test_the_right_program_is_put_back_also_after_a_failure():
    written = []

    def fail():
        with cheating(lambda *what: written.append(what) or 1):
            raise ValueError("the job failed")

    with pytest.raises(ValueError, match="the job failed"):
        fail()
    assert written == [(PROGRAM, CHEATING_PROGRAM.encode()), (PROGRAM, RIGHT)]


def test_a_switch_that_changes_nothing_is_an_error():
    with pytest.raises(CheatError, match=PROGRAM), cheating(lambda *_: 0):
        pytest.fail("the story went on without a cheat")


def test_the_cheating_program_makes_its_result_up(tmp_path):
    told = tmp_path / "result.json"
    argv = [sys.executable, "-c", CHEATING_PROGRAM]
    subprocess.run(argv, env=os.environ | {"HANSA_RESULT": str(told)}, check=True)
    assert json.loads(told.read_text()) == MADE_UP


@pytest.mark.parametrize("file", [HONEST, FAKED])
def test_both_jobs_run_the_program_that_is_replaced(file):
    spec = load_example(file, "x")["spec"]
    assert f"/{PROGRAM}" in spec["entrypoint"]
    assert spec["comparator"] == {}
