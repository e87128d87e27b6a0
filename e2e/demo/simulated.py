"""The demo's league on simulated clusters: agents are host processes, pods are simulated."""

from __future__ import annotations

from e2e.demo.books import Books
from e2e.demo.jobs import Manifest
from e2e.demo.league import DATA, INSTITUTIONS, PENDING_S, read
from e2e.testbed.addons.volumes import provide_data
from e2e.testbed.cluster.cluster import Cluster
from e2e.testbed.cluster.spec import HUB
from e2e.testbed.host.processes import Process
from e2e.testbed.league import agents, founding
from e2e.testbed.league.agents import Host
from e2e.testbed.league.founding import SYSTEM
from e2e.testbed.providers.simulated import SimulatedTestbed


class SimulatedLeague:
    """A founded league on a simulated testbed; the same use as ``demo.league.League``."""

    def __init__(self, testbed: SimulatedTestbed) -> None:
        self._testbed = testbed
        self._key = founding.make_hub_key()
        self._host = Host(testbed.folder, testbed.name)
        self._hub_process: Process | None = None
        self.books = Books(testbed.folder / "ledger", self._key.public_key)
        self.hub: Cluster = testbed.sites[HUB]
        self.members: dict[str, Cluster] = {
            name: site for name, site in testbed.sites.items() if name != HUB
        }
        self.policies: dict[str, Manifest] = {
            name: founding.with_hub_key(read(f"league/policy-{name}.yaml"), self._key.public_key)
            for name in self.members
        }

    def found(self) -> None:
        """Start the hub and let all members join."""
        progress = self._testbed.progress
        with progress.step("hub: kinds, pool, tenants"):
            agents.prepare_hub(self.hub.control_plane)
            self.hub.apply(
                *(founding.namespace(n, institution=i) for n, i in INSTITUTIONS.items()),
                read("league/pool.yaml"),
                *(read(f"league/node-{name}.yaml") for name in self.members),
            )
            self.start_hub()
            plane = self.hub.control_plane
            agents.start_ledger(
                self._host, plane, self._key, self.books.folder, pending_s=PENDING_S
            )
        for name, site in self.members.items():
            with progress.step(f"member {name}: policy, join"):
                plane = site.control_plane
                data, binaries = self._testbed.folder / "data", self._testbed.binaries
                agents.prepare_member(plane, self.policies[name], binaries, data)
                self._provide(name)
                agents.start_member(self._host, name, hub=self.hub.control_plane, site=plane)
        for name in self.members:
            founding.wait_node_ready(self.hub, name)

    def _provide(self, name: str) -> None:
        """Bind the member's data set, as on real clusters; nothing reads it here."""
        if name in DATA:
            claim, content = DATA[name]
            folder, files = self._testbed.folder / "data" / name, {f"{claim}.csv": content()}
            provide_data(self.members[name], folder, namespace=SYSTEM, claim=claim, files=files)

    def stop_hub(self) -> None:
        """Stop the hub process; its API server, which is only its store, stays."""
        if self._hub_process is not None:
            self._hub_process.stop()

    def start_hub(self) -> None:
        """Start the hub process."""
        self._hub_process = agents.start_hub(self._host, self.hub.control_plane, self._key)
