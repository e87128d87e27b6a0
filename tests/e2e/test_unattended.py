"""Real pods that nobody minds: each run ends by itself, then its job runs elsewhere, never both at once.

At Riga the agent is gone for good. Lisbon's machine is cut off from its own control plane and from the
hub: kubelet and pods reach no API server any more. What runs is read from the machines' process tables,
which no API server can be wrong about.
"""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from e2e.demo.league import League
from e2e.testbed.build.binaries import cache_root
from e2e.testbed.build.images import RAY
from e2e.testbed.host.clock import elapsed_s, wait_until
from e2e.testbed.host.packages import system_program
from e2e.testbed.host.progress import Progress
from e2e.testbed.league.founding import SYSTEM
from e2e.testbed.machines import state
from e2e.testbed.machines.teardown import remains
from e2e.testbed.providers.local import LocalTestbed
from e2e.testbed.providers.site import Site
from hansa.reconcile.fencing import LEAST_UNATTENDED_S
from tests.residency_kit import stands_in

pytestmark = [pytest.mark.e2e, pytest.mark.soak]

NAME = "unattended-test"
SETTINGS = {"hansa-hub": {"grants": {"validitySeconds": 60, "clockSkewSeconds": 5}}}
"""The shortest there are: the wait is then ``LEAST_UNATTENDED_S`` and the skew."""
CONTRACT_S = 60
FIRST = {"left-alone": "riga", "cut-off": "lisbon"}
"""Job → where it runs first; then each goes to Tartu, the dearest."""
SECOND = "tartu"
PATIENCE_S = 2 * LEAST_UNATTENDED_S + 300
CUT = """
table inet hansa_cut {{
  chain input {{
    type filter hook input priority -20; policy accept;
    tcp dport 6443 ip saddr != {gateway} drop
  }}
}}
"""


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


def cut_off(site: Site) -> None:
    """No API server can be reached from the machine: neither its own nor the hub's."""
    (machine,) = site.machines
    rules = CUT.format(gateway=machine.plan.gateway)
    argv = [*machine.enter, system_program("nft"), "-f", "-"]
    subprocess.run(argv, input=rules, text=True, check=True)
    site.set_cable(up=False)


def mend(site: Site) -> None:
    (machine,) = site.machines
    drop = ["delete", "table", "inet", "hansa_cut"]
    subprocess.run([*machine.enter, system_program("nft"), *drop], check=True)
    site.set_cable(up=True)


@pytest.fixture(scope="module")
def league(root_on_linux) -> Iterator[tuple[League, LocalTestbed]]:  # noqa: ARG001  # whether it can run
    with LocalTestbed(name=NAME, progress=Progress()) as testbed:
        record = state.load(NAME)
        folder = cache_root() / "run" / NAME / "data"
        league = League(testbed, folder, settings=SETTINGS)
        league.found()
        yield league, testbed
    assert record is not None
    assert remains(record) == []


def test_unattended_runs_end_by_themselves_and_go_on_elsewhere(league, record_property):
    founded, testbed = league
    image = testbed.images[RAY].reference
    with Watch(testbed.sites).on() as watch:
        founded.hub.apply(*(manifest(name, image) for name in FIRST))
        for name, node in FIRST.items():
            wait_until(
                lambda name=name, node=node: watch.where(name) == {node},
                what=f"{name} to run at {node}; it is {_told(founded, name)}",
                timeout_s=PATIENCE_S,
            )

        begun_s = elapsed_s()
        agent = ("deployment/hansa-member", "--replicas=0")
        founded.members["riga"].kubectl("-n", SYSTEM, "scale", *agent)
        cut_off(testbed.sites["lisbon"])
        for name, node in FIRST.items():
            _wait(watch, name, {SECOND}, f"{name} to go on at {SECOND}")
            alone_s = watch.ended_s[name, node] - begun_s
            record_property(f"{name}: seconds until the run had ended by itself", round(alone_s))
            assert alone_s < LEAST_UNATTENDED_S + 15, "beyond what the hub waits"

        # What comes back finds nothing to go on with.
        mend(testbed.sites["lisbon"])
        founded.members["riga"].kubectl("-n", SYSTEM, "scale", agent[0], "--replicas=1")
        for name, node in FIRST.items():
            wait_until(lambda node=node: not founded.runs(node), what=f"{node} to be clean")
            assert watch.where(name) == {SECOND}
        assert watch.twice == []
        assert watch.looks > 100
        record_property("looks at all process tables", watch.looks)


def _wait(watch: Watch, name: str, nodes: set[str], what: str) -> None:
    wait_until(lambda: watch.where(name) == nodes, what=what, timeout_s=PATIENCE_S)


def _told(league: League, name: str) -> str:
    job = league.hub.get("aijob", name, "-n", "university")
    return json.dumps(job.get("status", {}))
