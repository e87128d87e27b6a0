"""Turns the signals that end a program into an ordinary exit, so that `with` blocks clean up."""

from __future__ import annotations

import signal
from types import FrameType

_ENDING = (signal.SIGTERM, signal.SIGHUP)


def exit_on_signals() -> None:
    """Raise ``SystemExit`` on SIGTERM and SIGHUP, as Ctrl-C already raises ``KeyboardInterrupt``."""
    for number in _ENDING:
        signal.signal(number, _exit)


def _exit(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
