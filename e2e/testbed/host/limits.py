"""Limits of the kernel that one Kubernetes node a machine never meets, and several do."""

from __future__ import annotations

from pathlib import Path

from e2e.testbed.host.progress import Progress

_SYSCTLS = Path("/proc/sys")
NEEDED = {"fs.inotify.max_user_instances": 1024}
"""All daemons of a league run as one user and hold 15 inotify instances a site; Linux allows 128.

A kubelet that gets none ends: a second league beside the first one did not come up.
"""


def raise_limits(progress: Progress, root: Path = _SYSCTLS) -> None:
    """Raise what is lower than needed, until the next reboot, and say so; needs root."""
    for name, needed in NEEDED.items():
        path = root / name.replace(".", "/")
        found = int(path.read_text(encoding="ascii"))
        if found >= needed:
            continue
        try:
            path.write_text(f"{needed}\n", encoding="ascii")
        except OSError as error:  # a container may show it read-only
            progress.note(f"{name} stays at {found} ({error.strerror}): one league at a time")
        else:
            progress.note(f"{name}: {found} -> {needed}, until the next reboot")
