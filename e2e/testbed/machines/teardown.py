"""Removes a testbed: whatever happened before, afterwards nothing of it is left.

Order matters: processes first (with each machine's init process go its mounts and pod networks),
then what lies outside their namespaces. Every part may already be gone.
"""

from __future__ import annotations

import os
import shutil
import signal
from contextlib import suppress
from pathlib import Path

from e2e.testbed.build.binaries import cache_root
from e2e.testbed.host import cgroups, processes
from e2e.testbed.host.clock import wait_until
from e2e.testbed.machines import network
from e2e.testbed.machines.state import State


def tear_down(state: State) -> None:
    """Remove the testbed and, last of all, the note of it. Logs stay in the cache."""
    kill_processes(state.name)
    for machine in state.machines:
        cgroups.remove(machine.cgroup)
        network.unplug(machine.veth)
    if state.bridge:
        network.unplug(state.bridge)
    keep_logs(state)
    shutil.rmtree(state.folder, ignore_errors=True)
    state.forget()


def remains(state: State) -> list[str]:
    """Name everything of the testbed that still exists; empty after a good teardown."""
    left = [f"process {process.pid}" for process in processes.marked(state.name)]
    for machine in state.machines:
        left += [f"cgroup {folder}" for folder in cgroups.remaining(machine.cgroup)]
    interfaces = [state.bridge, *(machine.veth for machine in state.machines)]
    left += [f"interface {name}" for name in interfaces if name and network.exists(name)]
    mounts = Path("/proc/self/mounts").read_text().splitlines()
    left += [f"mount {line.split()[1]}" for line in mounts if state.folder in line]
    if Path(state.folder).exists():
        left.append(f"folder {state.folder}")
    return left


def kill_processes(name: str) -> None:
    """Kill until none is left: one that was just starting may show up a moment later."""
    wait_until(lambda: _kill_once(name), what=f"processes of {name} to end")


def keep_logs(state: State) -> None:
    """Copy the logs where the next run of the same name finds them replaced."""
    target = cache_root() / "logs" / state.name
    shutil.rmtree(target, ignore_errors=True)
    for log in Path(state.folder).glob("**/*.log"):
        if {"kubelet", "containerd", "log", "etcd"} & set(log.relative_to(state.folder).parts[:-1]):
            continue
        copy = target / log.relative_to(state.folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):  # another process takes the same testbed down
            shutil.copyfile(log, copy)


def _kill_once(name: str) -> bool:
    found = [process for process in processes.marked(name) if process.pid != os.getpid()]
    for process in found:
        if process.alive():
            _kill(process.pid)
    return not found


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
