"""Machines that runs died on are remembered by job, the last ones, and not without bound."""

from __future__ import annotations

from hansa.member.state.left_machines import MOST_JOBS, MOST_MACHINES, LeftMachines


def test_a_job_keeps_off_what_its_own_runs_died_on():
    left = LeftMachines()
    left.note("a", {"m1"})
    left.note("b", {"m9"})
    left.note("a", {"m2", "m1"})
    left.note("a", ())
    assert left.of("a") == ("m1", "m2")
    assert left.of("c") == ()


def test_the_last_machines_and_jobs_stay():
    left = LeftMachines()
    left.note("first", {"m"})
    for number in range(MOST_JOBS):
        left.note("a", {f"m{number:04}"})
        left.note(f"job-{number}", {"m"})
    assert left.of("first") == ()
    assert left.of("a") == tuple(f"m{n:04}" for n in range(MOST_JOBS - MOST_MACHINES, MOST_JOBS))
