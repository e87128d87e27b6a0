"""BOINC's adaptive replication, the rule to beat: trust after ten valid results, nothing at stake.

``sched_send.cpp`` trusts a host with a chance of 1 - 1/CV once CV, its consecutive valid *replicated* results, is 10;
an invalid one sets CV to 0 (BOINC/boinc at c5c6cb79).
"""

from __future__ import annotations

import numpy as np

UNREPLICATED = 10
"""``CONS_VALID_UNREPLICATED``."""


def faked_credited(jobs: int, seed: int) -> float:
    """Return the share of all runs that are faked and credited by whoever fakes all while it is trusted."""
    dice = np.random.default_rng(seed).random(jobs)
    valid = credited = 0
    for drawn in dice.tolist():
        is_replicated = valid < UNREPLICATED or drawn < 1 / valid
        fakes = valid >= UNREPLICATED
        if is_replicated:
            valid = 0 if fakes else valid + 1
        elif fakes:
            credited += 1
    return credited / jobs
