"""The league that troubles befall, and an owner who looks at a job until something happened to it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from e2e.demo.jobs import condition, holds
from e2e.demo.league import League
from e2e.testbed.build.images import RAY
from e2e.testbed.host.clock import elapsed_s, wait_until
from e2e.testbed.host.packages import system_program
from e2e.testbed.machines.machine import Machine
from e2e.testbed.providers.local import LocalTestbed
from e2e.testbed.providers.site import Site

Manifest = dict[str, Any]
SPACE = "university"
CASE_S = 420.0
"""For one trouble, on a machine however busy: a ceiling, no measure of speed."""
SHOWN = ("Accepted", "Placed", "Running", "Succeeded", "Failed")


@dataclass(frozen=True, slots=True)
class Line:
    """Something that stood in the job's status, and when it was seen first."""

    at_s: float
    text: str


@dataclass(slots=True)
class Told:
    """What the owner of one job read."""

    lines: list[Line] = field(default_factory=list)
    job: Manifest = field(default_factory=dict)

    def add(self, text: str) -> None:
        """Write down what stood elsewhere than in the job, when the last line was read."""
        self.lines.append(Line(self.lines[-1].at_s if self.lines else 0.0, text))

    def text(self) -> str:
        """Return all of it."""
        return "\n".join(line.text for line in self.lines)


class Stage:
    """A founded league with two members, and what can be done to it."""

    def __init__(self, testbed: LocalTestbed, league: League) -> None:
        """``league``: founded on ``testbed``."""
        self.testbed = testbed
        self.league = league
        self.image = testbed.images[RAY].reference
        self._stands: dict[str, list[str]] = {}
        """Job → what its status said at the last look."""

    @property
    def hub(self) -> Site:
        """The hub's cluster."""
        return self.league.hub

    def machine(self, node: str) -> Machine:
        """Return a member's only machine."""
        (found,) = self.league.members[node].machines
        return found

    def submit(self, name: str, program: str, *places: str, **spec: Any) -> None:
        """Apply a job that runs a line of Python; ``spec`` replaces fields."""
        workers = {"count": 1, "cpu": "250m", "memory": "1Gi", "gpus": 1}
        body = {
            "pool": "league",
            "workload": "Batch",
            "image": self.image,
            "entrypoint": ["python3", "-u", "-c", program],
            "ray": {
                "version": "2.60.0",
                "head": {"cpu": "250m", "memory": "2Gi"},
                "workers": workers,
            },
            "residency": {
                "location": {"allow": list(places)},
                "legalControl": {"allow": ["World"]},
            },
            "maxRuntimeSeconds": 3600,
        }
        metadata = {"name": name, "namespace": SPACE}
        api = {"apiVersion": "hansa.dev/v1alpha1", "kind": "AIJob"}
        self.hub.apply(api | {"metadata": metadata, "spec": body | spec})

    def job(self, name: str) -> Manifest:
        """Return a job as the hub has it."""
        return self.hub.get("aijob", name, "-n", SPACE)

    def read_until(
        self, name: str, done: Callable[[Manifest], bool], what: str, *, within_s: float = CASE_S
    ) -> Told:
        """Read a job's status again and again until ``done``: what was not there at the look before, by whoever looked.

        A timeout says what was read.
        """
        told, began_s = Told(), elapsed_s()

        def look() -> bool:
            told.job = self.job(name)
            stood, self._stands[name] = self._stands.get(name, []), [*sentences(told.job)]
            news = (text for text in self._stands[name] if text not in stood)
            told.lines += [Line(elapsed_s() - began_s, text) for text in dict.fromkeys(news)]
            return done(told.job)

        try:
            wait_until(look, what=what, timeout_s=within_s, poll_s=0.5)
        except TimeoutError as late:
            said = json.dumps(told.job.get("status", {}), indent=1)
            raise TimeoutError(f"{name}: {late}; read was:\n{told.text()}\n{said}") from late
        return told

    def command(self, *args: str) -> str:
        """Return what a command of the league's admin prints."""
        done = subprocess.run(
            [sys.executable, "-m", "hansa", *args, "-n", SPACE],
            env=os.environ | {"KUBECONFIG": str(self.hub.kubeconfig), "COLUMNS": "120"},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout + done.stderr

    def law(self, node: str, kind: str) -> Mapping[str, Any]:
        """Return a condition of a member's policy."""
        return condition(self.league.members[node].get("memberpolicy", "local"), kind)

    def is_ready(self, node: str) -> bool:
        """Tell whether the hub takes a node for ready."""
        return holds(self.hub.get("sovereignnode", node), "Ready")

    def kill(self, node: str, word: str) -> int:
        """End the processes of a member's machine that have ``word`` in their command; return how many."""
        found = [*processes_of(self.machine(node), word)]
        for process in found:
            os.kill(process, signal.SIGKILL)
        return len(found)

    @contextmanager
    def stopped(self, machine: Machine) -> Iterator[None]:
        """Stop a machine with all that it runs, and let it go on at the end of the block."""
        held: set[int] = set()
        try:
            while found := machine.processes() - held:  # what was started meanwhile, too
                held |= {pid for pid in found if _signal(pid, signal.SIGSTOP)}
            yield
        finally:
            for pid in held:
                _signal(pid, signal.SIGCONT)


@contextmanager
def close_way(machine: Machine, address: str) -> Iterator[None]:
    """Let a machine and its pods reach an address no more, until the end of the block."""
    nft = [*machine.enter, system_program("nft")]
    rules = "".join(
        f"chain {hook} {{ type filter hook {hook} priority -20; ip daddr {address} reject; }}\n"
        for hook in ("output", "forward")
    )
    table = f"table inet hansa_closed {{\n{rules}}}\n"
    subprocess.run([*nft, "-f", "-"], input=table, text=True, check=True)
    try:
        yield
    finally:
        subprocess.run([*nft, "delete", "table", "inet", "hansa_closed"], check=True)


def _signal(pid: int, number: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
        return True
    return False


def sentences(job: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a job's status says, a sentence a line."""
    status = job.get("status", {})
    for kind in SHOWN:
        row = condition(job, kind)
        if row:
            yield f"{kind} {row['status']} ({row['reason']}): {row.get('message', '')}"
    for row in status.get("refusals", ()):
        yield f"refused by {row['node']} ({row['reason']}): {row.get('message', '')}"
    for row in status.get("retries", ()):
        yield f"tried again, {row['times']} times ({row['cause']}): {row.get('message', '')}"
    for pod in (status.get("postMortem") or {}).get("pods", ()):
        code = f", exit code {pod['exitCode']}" if "exitCode" in pod else ""
        yield f"a pod died, {pod['role']}: {pod['reason']}{code}"


def processes_of(machine: Machine, word: str) -> Iterator[int]:
    """Yield the processes of a machine whose command holds a word."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
            inside = f"/{machine.record.cgroup}/" in (folder / "cgroup").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has just ended
        if inside and any(word in one for one in words):
            yield int(folder.name)
