"""A process of ours as a child, and the pages it serves."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from e2e.testbed.host.clock import PATIENCE_S
from e2e.testbed.host.ports import free_ports

ANSWER_S = 60.0
"""Longer than any page takes on a busy machine: one that has no answer by then hangs."""


class Served:
    """``hansa COMMAND`` as a child process, with a port for its pages."""

    def __init__(self) -> None:
        """Choose the port; nothing runs before ``start``."""
        (self.port,) = free_ports(1)

    def start(self, command: str, settings: Mapping[str, str], log: Path) -> None:
        """Begin it with these settings in its environment; what it says goes to ``log``."""
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                [str(Path(sys.executable).with_name("hansa")), command],
                env={**os.environ, **settings},
                stdout=out,
                stderr=out,
            )

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def page(self, path: str) -> str:
        """Return what it serves there; empty while it does not, or is not well."""
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self.port}{path}", timeout=ANSWER_S
            ) as answer:
                return answer.read().decode()
        except OSError:
            return ""

    def end(self) -> int:
        """Tell it to end, as Kubernetes does; return its exit status."""
        if self.running:
            self._process.terminate()
        return self._process.wait(PATIENCE_S)
