"""Real pods that nobody minds: each run ends by itself, then its job runs elsewhere, never both at once.

At Riga the agent is gone for good. Lisbon's machine is cut off from its own control plane and from the
hub: kubelet and pods reach no API server any more. What runs is read from the machines' process tables,
which no API server can be wrong about.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

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
from tests.e2e.unattended_kit import FIRST, NAME, Watch, manifest

pytestmark = [pytest.mark.e2e, pytest.mark.soak]

SETTINGS = {"hansa-hub": {"grants": {"validitySeconds": 60, "clockSkewSeconds": 5}}}
"""The shortest there are: the wait is then ``LEAST_UNATTENDED_S`` and the skew."""
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
