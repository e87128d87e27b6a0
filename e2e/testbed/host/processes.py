"""Starts long-running programs and ends them again, and no other process.

A program is remembered by pid *and* start time, so a pid that the kernel has given to somebody
else is never signalled.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from e2e.testbed.host.clock import wait_until

MARKER = "HANSA_TESTBED"
"""Environment variable that says which testbed a process belongs to."""
_TERM_S = 10.0
_TAIL_BYTES = 2000


class ProcessDiedError(RuntimeError):
    """A program ended on its own; the message carries the end of its log."""


@dataclass(frozen=True, slots=True)
class Process:
    """One running program, recognisable across restarts of ours."""

    name: str
    pid: int
    started_ticks: int
    """Field 22 of ``/proc/PID/stat``: clock ticks after boot."""

    def alive(self) -> bool:
        """Return whether this very process still runs (a zombie does not)."""
        _reap(self.pid)
        return read_start_ticks(self.pid) == self.started_ticks

    def stop(self, grace_s: float = _TERM_S) -> None:
        """End the process group: politely first, then for good."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            if not self.alive():
                return
            _signal_group(self.pid, number)
            try:
                wait_until(lambda: not self.alive(), what=f"{self.name} to end", timeout_s=grace_s)
            except TimeoutError:
                continue


def start(
    name: str,
    argv: Sequence[str | Path],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    enter: Sequence[str] = (),
    die_with_parent: bool = False,
) -> Process:
    """Start a program in a session of its own, its output appended to ``log``.

    ``enter`` is a command prefix that puts it into a machine's namespaces.
    """
    prefix = _tie(os.getpid()) if die_with_parent else []
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        child = subprocess.Popen(  # arguments are the testbed's own
            [*prefix, *enter, *map(str, argv)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env=os.environ | dict(env or {}),
        )
    # Not a leak: `Process` ends it by pid, also from another run of ours.
    child.returncode = 0
    return Process(name=name, pid=child.pid, started_ticks=read_start_ticks(child.pid) or 0)


def _tie(parent: int) -> list[str]:
    """Return a prefix that ends the program with its parent, even one that has ended by now."""
    script = f'[ "$PPID" = {parent} ] && exec "$@"'
    return ["setpriv", "--pdeathsig", "KILL", "sh", "-c", script, "sh"]


def check_alive(processes: Sequence[Process], logs: Path) -> None:
    """Raise ``ProcessDiedError`` if one of them has ended."""
    for process in processes:
        if not process.alive():
            tail = (
                (logs / f"{process.name}.log").read_bytes()[-_TAIL_BYTES:].decode(errors="replace")
            )
            raise ProcessDiedError(f"{process.name} ended early; its log ends with:\n{tail}")


def read_start_ticks(pid: int) -> int | None:
    """Return when a live process was started, or None if there is none (or only a zombie)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rsplit(")", 1)[1].split()
    return None if fields[0] in "ZX" else int(fields[19])


def marked(marker: str) -> list[Process]:
    """Return every live process whose environment holds ``MARKER=marker``.

    The mark is set before a program exists, so nothing can start unrecorded; children inherit it.
    """
    wanted = f"{MARKER}={marker}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if wanted not in (folder / "environ").read_bytes().split(b"\0"):
                continue
        except OSError:
            continue
        pid = int(folder.name)
        if (ticks := read_start_ticks(pid)) is not None:
            found.append(Process(name=f"pid {pid}", pid=pid, started_ticks=ticks))
    return found


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return


def _signal_group(pid: int, number: signal.Signals) -> None:
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return
