"""Progress reads the same in a log file: plain lines, nested, with times."""

import io
import re

import pytest
from rich.console import Console

from e2e.testbed.host.clock import wait_until
from e2e.testbed.host.progress import Progress


def test_steps_are_plain_lines_where_there_is_no_terminal():
    out = io.StringIO()
    progress = _progress(out)

    with progress.step("outer"), progress.step("inner [kube]"):
        progress.note("half way")

    assert [re.sub(r"\d+\.\d", "T", line).strip() for line in out.getvalue().splitlines()] == [
        "[   T s] outer …",
        "[   T s]   inner [kube] …",
        "[   T s]     half way",
        "[   T s]   inner [kube]: done in T s",
        "[   T s] outer: done in T s",
    ]


def test_a_failure_is_called_one():
    out = io.StringIO()

    with pytest.raises(ValueError, match="x"), _progress(out).step("doomed"):
        raise ValueError("x")

    assert "doomed: failed after" in out.getvalue()


def test_a_long_step_says_that_it_is_alive():
    out = io.StringIO()

    with _progress(out, heartbeat_s=0.01).step("long"):
        wait_until(lambda: "still at it: long" in out.getvalue(), what="a beat", timeout_s=10)


def test_a_long_step_says_how_long_it_still_takes_while_that_is_known():
    out = io.StringIO()
    progress = _progress(out, heartbeat_s=0.01)

    with progress.step("build", usual_s=100.0):
        wait_until(lambda: "build (0 s, about 100 s left)" in out.getvalue(), what="a beat")
    with progress.step("late", usual_s=0.001):
        wait_until(lambda: "still at it: late (0 s)\n" in out.getvalue(), what="a beat")


def test_a_terminal_sees_the_innermost_step():
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=80)
    progress = Progress(console)

    with progress.step("outer"), progress.step("inner"):
        wait_until(lambda: "inner (0 s)" in out.getvalue(), what="a spinner", timeout_s=10)


def _progress(out: io.StringIO, **options) -> Progress:
    return Progress(Console(file=out, width=200), **options)
