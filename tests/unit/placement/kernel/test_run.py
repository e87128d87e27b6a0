"""Which kernel runs: the compiled one for who plans on and on and where numba may compile."""

import os
import subprocess
import sys

import pytest

PLAN = """
import sys
from hansa.placement import planner
from hansa.placement.kernel import run
from tests.unit.placement.leagues.good_league import GOOD, league

placed = planner.plan(league(), is_compiled={is_compiled}).placements
print(placed[0].job_uid, {seen})
"""
CASES = {
    "one plan does not load numba": (
        PLAN.format(is_compiled=False, seen="'numba' in sys.modules"),
        {},
    ),
    "numba that may not compile is left alone": (
        PLAN.format(is_compiled=True, seen="run.compiled() is not None"),
        {"NUMBA_DISABLE_JIT": "1"},
    ),
}


@pytest.mark.parametrize(("program", "settings"), CASES.values(), ids=CASES)
def test_the_interpreted_kernel_runs(program, settings):
    environment = os.environ | settings | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stderr == ""
    assert done.stdout.split() == ["good", "False"]
