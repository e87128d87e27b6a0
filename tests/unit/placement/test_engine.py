"""Which kernel runs: the compiled one where numba may compile, else the interpreted one."""

import os
import subprocess
import sys

PLAN = """
from hansa.placement import engine, planner
from tests.unit.placement.test_bad_input import GOOD, league

assert engine.COMPILED is None
print(planner.plan(league()).placements[0].job_uid)
"""


def test_numba_that_may_not_compile_leaves_the_interpreted_kernel():
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", PLAN], env=environment, capture_output=True, text=True, check=False
    )

    assert done.stderr == ""
    assert done.stdout.strip() == "good"
