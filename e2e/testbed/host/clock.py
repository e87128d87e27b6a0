"""The testbed's only reads of the clock: certificates need dates and waiting needs a deadline.

It stands outside the product, which takes an injected clock instead.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

POLL_S = 0.1
ASKED_S = 0.5
"""Between looks by kubectl or helm: each takes a fifth of a second of a processor from what it waits for."""
PATIENCE_S = 300.0
"""For what must happen, on a machine however busy: a ceiling, no measure of speed."""
TIMEOUT = f"--timeout={PATIENCE_S:.0f}s"
"""The same, said to kubectl and helm."""


def utc_now() -> datetime:
    """Return the wall-clock time, for certificate dates."""
    return datetime.now(UTC)  # noqa: TID251  # certificates are judged by real clocks


def elapsed_s() -> float:
    """Return seconds on a clock that never goes back."""
    return time.monotonic()  # noqa: TID251  # deadlines of real processes


def wait_until(
    condition: Callable[[], object],
    *,
    what: str,
    timeout_s: float = PATIENCE_S,
    poll_s: float = POLL_S,
) -> None:
    """Return once ``condition`` is true; raise ``TimeoutError`` naming ``what`` otherwise."""
    deadline = elapsed_s() + timeout_s
    while not condition():
        if elapsed_s() > deadline:
            raise TimeoutError(f"gave up after {timeout_s:.0f} s waiting for {what}")
        time.sleep(poll_s)
