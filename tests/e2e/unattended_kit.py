"""A job with a contract of unattended time, and where its runs were seen."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from e2e.testbed.host.clock import elapsed_s
from e2e.testbed.providers.site import Site
from tests.residency_kit import stands_in

NAME = "unattended-test"
CONTRACT_S = 60
FIRST = {"left-alone": "riga", "cut-off": "lisbon"}
"""Job → where it runs first; then each goes to Tartu, the dearest."""


def manifest(name: str, image: str) -> dict[str, Any]:
    """Return a job that does nothing for an hour, and is seen in the process table by its name."""
    places = {"left-alone": ["LV", "EE"], "cut-off": ["PT", "EE"]}[name]
    return {
        "apiVersion": "hansa.dev/v1alpha1",
        "kind": "AIJob",
        "metadata": {"name": name, "namespace": "university"},
        "spec": {
            "pool": "league",
            "workload": "Batch",
            "image": image,
            "entrypoint": ["python3", "-c", "import time; time.sleep(3600)", mark(name)],
            "ray": {
                "version": "2.60.0",
                "head": {"cpu": "250m", "memory": "2Gi"},
                "workers": {"count": 1, "cpu": "250m", "memory": "1Gi", "gpus": 1},
            },
            "residency": stands_in(*places),
            "maxRuntimeSeconds": 3600,
            "disconnection": {"policy": "Continue", "maxUnattendedSeconds": CONTRACT_S},
        },
    }


def mark(name: str) -> str:
    return f"{NAME}:{name}"


class Watch:
    """Who runs what where, by the process tables of all machines, looked at all the time."""

    def __init__(self, sites: dict[str, Site]) -> None:
        self._groups = {
            machine.record.cgroup: name for name, site in sites.items() for machine in site.machines
        }
        self.now: dict[str, set[str]] = {}
        """Job → nodes where its command runs."""
        self.twice: list[str] = []
        self.ended_s: dict[tuple[str, str], float] = {}
        """(job, node) → when it was seen there last."""
        self.looks = 0
        self._ending = threading.Event()

    @contextmanager
    def on(self) -> Iterator[Watch]:
        thread = threading.Thread(target=self._watch)
        thread.start()
        try:
            yield self
        finally:
            self._ending.set()
            thread.join()

    def _watch(self) -> None:
        while not self._ending.wait(0.3):
            found: dict[str, set[str]] = {name: set() for name in FIRST}
            for folder in Path("/proc").glob("[0-9]*"):
                for name, node in self._of(folder):
                    found[name].add(node)
                    self.ended_s[name, node] = elapsed_s()
            self.twice += [f"{name} at {nodes}" for name, nodes in found.items() if len(nodes) > 1]
            self.now = found
            self.looks += 1

    def _of(self, folder: Path) -> Iterator[tuple[str, str]]:
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            for name in FIRST:
                if mark(name).encode() in words:
                    groups = (folder / "cgroup").read_text()
                    yield from ((name, n) for g, n in self._groups.items() if f"/{g}/" in groups)
        except (FileNotFoundError, ProcessLookupError):
            return  # it has just ended

    def where(self, name: str) -> set[str]:
        return self.now.get(name, set())
