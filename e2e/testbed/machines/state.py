"""What a testbed made, written down *before* it is made, so that `down` works after any crash.

Processes are not listed: each carries the testbed's name in its environment from its first
instruction, which no list written afterwards could promise.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from e2e.testbed.build.binaries import cache_root
from e2e.testbed.host.locks import locked


@dataclass(frozen=True, slots=True)
class MachineRecord:
    """Names of one machine's traces outside its own namespaces."""

    name: str
    veth: str
    cgroup: str


@dataclass(frozen=True, slots=True)
class State:
    """One testbed."""

    name: str
    number: int
    """Numbers its addresses: bridge 172.30.N.0/24, pods 10.(100+N).0.0/16."""
    folder: str
    provider: str
    bridge: str = ""
    machines: tuple[MachineRecord, ...] = field(default=())

    def save(self) -> None:
        """Write it so that a crash leaves either the old file or the new one."""
        path = state_path(self.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(asdict(self), indent=1))
        with partial.open() as handle:
            os.fsync(handle.fileno())
        partial.rename(path)

    def forget(self) -> None:
        """Remove the file: nothing of the testbed is left."""
        state_path(self.name).unlink(missing_ok=True)


def state_path(name: str) -> Path:
    """Return where the testbed ``name`` is written down."""
    return _folder() / f"{name}.json"


def _folder() -> Path:
    return cache_root() / "testbeds"


def load(name: str) -> State | None:
    """Return the testbed ``name``, or None if there is none."""
    try:
        raw = json.loads(state_path(name).read_text())
    except FileNotFoundError:  # another process may just have taken it down
        return None
    machines = tuple(MachineRecord(**m) for m in raw.pop("machines"))
    return State(**raw, machines=machines)


def load_all() -> list[State]:
    """Return every testbed written down."""
    names = sorted(path.stem for path in _folder().glob("*.json"))
    return [state for name in names if (state := load(name))]


def claim(describe: Callable[[int], State]) -> State:
    """Write a testbed down under the smallest number none has; two that begin at once get two."""
    with locked(_folder()):
        taken = {state.number for state in load_all()}
        record = describe(next(n for n in range(1, 100) if n not in taken))
        record.save()
    return record
