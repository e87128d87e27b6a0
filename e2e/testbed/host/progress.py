"""Says what is being done, how far it is and how long it took, to a person or to a log file.

On a terminal a spinner shows the innermost running step and its age; elsewhere every step is a
plain line with the elapsed time, and a long one says every minute that it is alive and, where that
is known, how long it still takes.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.columns import Columns
from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from e2e.testbed.host.clock import elapsed_s

HEARTBEAT_S = 60.0


@dataclass(frozen=True, slots=True)
class _Step:
    title: str
    begun_s: float
    usual_s: float = 0.0
    """What it takes on a machine like that of whoever measured; 0: not known."""

    def __rich__(self) -> Text:
        """Render with the age of this moment: a live display asks again and again."""
        age_s = elapsed_s() - self.begun_s
        left_s = self.usual_s - age_s
        more = f", about {left_s:.0f} s left" if left_s > 0 else ""
        return Text(f"{self.title} ({age_s:.0f} s{more})")


class Progress:
    """Prints steps to ``console`` (stderr by default), each with its duration."""

    def __init__(self, console: Console | None = None, *, heartbeat_s: float = HEARTBEAT_S) -> None:
        self._console = console or Console(file=sys.stderr, highlight=False, soft_wrap=True)
        self._heartbeat_s = heartbeat_s
        self._start_s = elapsed_s()
        self._steps: list[_Step] = []
        self._live: Live | None = None

    def note(self, message: str) -> None:
        """Print one line, stamped with the time since the start."""
        stamp = f"[{elapsed_s() - self._start_s:6.1f} s]"
        self._console.print(f"{stamp} {'  ' * len(self._steps)}{message}", markup=False)

    @contextmanager
    def step(self, title: str, *, usual_s: float = 0.0) -> Iterator[None]:
        """Announce a step, and its duration or failure when it ends; ``usual_s``: what it may take."""
        step = _Step(title, elapsed_s(), usual_s)
        self.note(f"{title} …")
        self._steps.append(step)
        ending = "failed after"
        try:
            with self._sign_of_life():
                yield
            ending = "done in"
        finally:
            self._steps.remove(step)
            self._show()
            self.note(f"{title}: {ending} {elapsed_s() - step.begun_s:.1f} s")

    @contextmanager
    def _sign_of_life(self) -> Iterator[None]:
        if len(self._steps) > 1:  # the outermost step's sign shows the innermost title
            self._show()
            yield
        elif self._console.is_terminal:
            with Live(console=self._console, transient=True) as self._live:
                self._show()
                yield
            self._live = None
        else:
            with self._heartbeat():
                yield

    def _show(self) -> None:
        if self._live and self._steps:
            self._live.update(Columns([Spinner("dots"), self._steps[-1]]))

    @contextmanager
    def _heartbeat(self) -> Iterator[None]:
        over = threading.Event()

        def beat() -> None:
            while not over.wait(self._heartbeat_s):
                self.note(f"still at it: {self._steps[-1].__rich__()}")

        beating = threading.Thread(target=beat, daemon=True)
        beating.start()
        try:
            yield
        finally:
            over.set()
            beating.join()
