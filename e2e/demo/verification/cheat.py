"""The switch that makes one member cheat. It is the testbed's alone: the product has nothing like it.

A cheat operates its own machines, so the testbed does what such an operator would: on the member's machines another
program lies in the place of the job's. Images keep their digests, and the member's agent is the honest product: it
signs in good faith for what ran on its machines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from e2e.demo.jobs import EXAMPLES

Replace = Callable[[str, bytes], int]
"""Puts a file in the place of another in the images on a member's machines; returns in how many layers it was."""
PROGRAM = "opt/hansa/examples/digits.py"
MADE_UP = {"accuracy": 0.9999, "gamma": 0.001, "fits": 9}
CHEATING_PROGRAM = f'''\
"""Put here by the testbed, to make this member cheat: nothing is computed, and the result is made up."""
import json, os

with open(os.environ["HANSA_RESULT"], "w") as file:
    json.dump({MADE_UP!r}, file)
'''


class CheatError(AssertionError):
    """The member could not be made to cheat."""


@contextmanager
def cheating(replace: Replace) -> Iterator[None]:
    """Make a member cheat in what starts meanwhile; the right program is put back afterwards."""
    right = (EXAMPLES / "programs" / "digits.py").read_bytes()
    try:
        if not replace(PROGRAM, CHEATING_PROGRAM.encode()):
            raise CheatError(f"no image on the member's machines has {PROGRAM}")
        yield
    finally:
        replace(PROGRAM, right)
