"""A cgroup per machine, in every hierarchy the kernel has, and none of anybody else's."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

from e2e.testbed.host.clock import wait_until

_ROOT = Path("/sys/fs/cgroup")
_PROGRAMS = 4
"""A machine weighs as much as this many programs outside: its pods must not all share one's time.

Ray gives a node half a minute to start, and ends it otherwise; three that start at once beside a
test run's API servers did not make it.
"""


def make(name: str) -> None:
    """Create the cgroup ``name`` with every controller usable below it."""
    if _unified():
        controllers = (_ROOT / "cgroup.controllers").read_text().split()
        (_ROOT / "cgroup.subtree_control").write_text(" ".join(f"+{c}" for c in controllers))
    for hierarchy in hierarchies():
        group = hierarchy / name
        group.mkdir(exist_ok=True)
        for setting in ("cpuset.cpus", "cpuset.mems"):
            # cgroup v1: a new cpuset is empty and refuses every process until it is filled.
            if (group / setting).exists() and not _unified():
                (group / setting).write_text((hierarchy / setting).read_text())
        for setting, of_one_program in (("cpu.shares", 1024), ("cpu.weight", 100)):  # v1, v2
            if (group / setting).exists():
                (group / setting).write_text(str(_PROGRAMS * of_one_program))


def remove(name: str) -> None:
    """Kill what still runs in the cgroup ``name`` and remove it everywhere."""
    for hierarchy in hierarchies():
        wait_until(
            lambda top=hierarchy / name: _gone(top),  # type: ignore[misc]
            what=f"cgroup {hierarchy / name} to empty",
        )


def remaining(name: str) -> list[Path]:
    """Return the folders of cgroup ``name`` that still exist."""
    return [h / name for h in hierarchies() if (h / name).exists()]


def hierarchies() -> Iterator[Path]:
    """Yield the root of each hierarchy: one on cgroup v2, one a controller on v1."""
    if _unified():
        yield _ROOT
        return
    for folder in sorted(_ROOT.iterdir()):
        if (folder / "cgroup.procs").exists() and not folder.is_symlink():
            yield folder


def _unified() -> bool:
    return (_ROOT / "cgroup.controllers").exists()


def _gone(top: Path) -> bool:
    """Make one attempt to empty and remove the tree; return whether it is gone."""
    if not top.exists():
        return True
    for folder, _, _ in os.walk(top, topdown=False):
        try:
            _kill_all(Path(folder))
            Path(folder).rmdir()
        except OSError:  # still busy, or just gone: the caller tries again
            return False
    return not top.exists()


def _kill_all(group: Path) -> None:
    for pid in (group / "cgroup.procs").read_text().split():
        try:
            os.kill(int(pid), signal.SIGKILL)
        except ProcessLookupError:
            continue
