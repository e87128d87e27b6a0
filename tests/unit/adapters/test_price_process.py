"""Prices from another process are the prices; whatever happens to it is an error, and it ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys

import numpy as np
import pytest

from hansa.adapters.price_process import solve_elsewhere
from hansa.errors import Retryable
from hansa.placement.pricing import shadow_prices
from hansa.placement.pricing.market import market_of
from hansa.placement.state.league import League
from tests.unit.placement.leagues.random_leagues import random_snapshot


@pytest.fixture(scope="module")
def market():
    return market_of(League(random_snapshot(np.random.default_rng(3), jobs=60)))


async def test_prices_are_those_found_here(market):
    here = shadow_prices.solve(market).prices
    assert here.cells
    assert await solve_elsewhere(market) == here


def python(code):
    return (sys.executable, "-c", code)


def is_there(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


FAILS = {
    "it cannot start": (("/nowhere/python",), "cannot start"),
    "it ends with an error": (python("raise SystemExit('no room')"), "ended with 1: no room"),
    "it is killed": (python("import os; os.kill(os.getpid(), 9)"), "ended with -9"),
    "it says nothing": (python("import sys; sys.stdin.buffer.readline()"), "ended with 0"),
    "it says something else": (python("print('hello', flush=True); input()"), "unreadable"),
}


@pytest.mark.parametrize("case", FAILS)
async def test_a_failure_says_what_happened(market, case):
    command, words = FAILS[case]
    with pytest.raises(Retryable, match=words):
        await solve_elsewhere(market, command)


async def test_cancelled_it_leaves_no_process_behind(market, tmp_path):
    told = tmp_path / "pid"
    code = (
        f"import os, time; open({str(told)!r}, 'w').write(f'{{os.getpid()}}\\n'); time.sleep(900)"
    )
    task = asyncio.create_task(solve_elsewhere(market, python(code)))
    while not told.exists() or not told.read_text().endswith("\n"):  # noqa: ASYNC110  # another process's file
        await asyncio.sleep(0.01)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    while is_there(int(told.read_text())):  # noqa: ASYNC110  # another process's end
        await asyncio.sleep(0.01)


def test_a_worker_ends_with_who_started_it():
    """However that ended: the kernel closes its end of the pipe."""
    code = (
        "from hansa.adapters.price_worker import _end_with_input as end; print(flush=True); end()"
    )
    with subprocess.Popen(python(code), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as worker:
        assert worker.stdout.readline() == b"\n"
        assert worker.poll() is None
        worker.stdin.close()
        assert worker.wait() == 1
