"""Finds shadow prices in a process of its own, so that the caller's loop is held by none of it.

Not a pool: a process for each solve leaves no memory behind, and needs neither files nor semaphores.
"""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Sequence

from hansa.errors import Retryable
from hansa.model.snapshot import ShadowPrices
from hansa.placement.pricing.market import Market

WORKER = (sys.executable, "-P", "-m", "hansa.adapters.price_worker")
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


async def solve_elsewhere(market: Market, command: Sequence[str] = WORKER) -> ShadowPrices:
    """Return the prices of a market; raises ``Retryable``. Cancelled, it ends the process."""
    try:
        process = subprocess.Popen(  # noqa: ASYNC220, S603  # a millisecond; our own interpreter
            command,
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **ONE_THREAD},
        )
    except OSError as error:
        raise Retryable(f"cannot start: {error}") from error
    try:
        return await asyncio.to_thread(_ask, process, market)
    finally:
        process.kill()


def _ask(process: subprocess.Popen[bytes], market: Market) -> ShadowPrices:
    """Send a market, wait for its prices and for the end of the process."""
    with process:
        try:
            _send(process, market)
            answer = process.stdout.read() if process.stdout else b""
        except BrokenPipeError:
            answer = b""
        words = process.stderr.read() if process.stderr else b""
    if process.returncode or not answer:
        last = words.decode(errors="replace").strip().rpartition("\n")[-1]
        raise Retryable(f"ended with {process.returncode}: {last}")
    try:
        prices: ShadowPrices = pickle.loads(answer)  # noqa: S301  # from the process started above
    except (
        pickle.UnpicklingError,
        AttributeError,
        EOFError,
        ImportError,
        IndexError,
    ) as error:
        raise Retryable(f"unreadable answer: {error}") from error
    return prices


def _send(process: subprocess.Popen[bytes], market: Market) -> None:
    """Columns go out of band, straight from where they are: writing them does not hold the loop."""
    columns: list[pickle.PickleBuffer] = []
    head = pickle.dumps(market, protocol=5, buffer_callback=columns.append)
    parts = [memoryview(head), *(column.raw() for column in columns)]
    sizes = json.dumps([part.nbytes for part in parts]).encode()
    for part in (memoryview(sizes + b"\n"), *parts):
        sent = 0
        while sent < part.nbytes and process.stdin:
            sent += process.stdin.write(part[sent:])
