"""One site: a complete cluster on machines of its own, the hub's or a member's."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from e2e.testbed.addons import kwok
from e2e.testbed.addons.coredns import coredns_manifests
from e2e.testbed.build.binaries import Binaries
from e2e.testbed.build.layers import Image
from e2e.testbed.cluster.cluster import Cluster
from e2e.testbed.cluster.controlplane import ControlPlane, Endpoint, Home
from e2e.testbed.cluster.spec import SiteSpec
from e2e.testbed.host.clock import TIMEOUT, wait_until
from e2e.testbed.machines import network
from e2e.testbed.machines.containerd import Template
from e2e.testbed.machines.machine import Machine
from e2e.testbed.machines.node import Node


class Site(Cluster):
    """A running cluster of the `local` provider."""

    def __init__(
        self, spec: SiteSpec, machines: list[Machine], binaries: Binaries, folder: Path
    ) -> None:
        super().__init__(spec)
        self.machines = machines
        self._binaries = binaries
        self._folder = folder

    @property
    def addresses(self) -> list[str]:
        """Addresses of its machines."""
        return [machine.address for machine in self.machines]

    def start_control_plane(self) -> None:
        """Start the API server and its controllers on the first machine."""
        first = self.machines[0]
        self.control_plane = ControlPlane(
            self._binaries,
            Home(self._folder, first.marker, die_with_parent=False),
            endpoint=Endpoint.site(first.address, first.enter),
            controllers=True,
            scheduler=True,
        )
        self.control_plane.start()

    def start_nodes(self, template: Template) -> None:
        """Start every machine's daemons and raise the fence round a member."""
        for machine in self.machines:
            if not self.spec.is_hub:
                network.fence(machine.plan, self.addresses, machine.enter)
            for other in self.machines:
                if other is not machine:
                    network.show_pods_of(machine.plan, other.index, machine.enter)
            Node(machine, self.control_plane, self._binaries).start(
                template, self.spec.node_labels()
            )
        if self.spec.abroad:
            self._play_abroad()

    def _play_abroad(self) -> None:
        """Have a machine under another law played: a pod that no rule keeps at home can be bound there."""
        first, admin = self.machines[0], self.control_plane.kubeconfig
        config = first.folder / "kwok.yaml"
        config.write_text(kwok.stages(self._binaries.source_of("kwok"), rayjobs=False))
        argv = kwok.command(self._binaries, admin, config, only=f"{kwok.PLAYED}=true")
        first.run("kwok", argv)
        self.apply(kwok.machine_abroad(self.spec))

    def wait_nodes(self) -> None:
        """Return once every node is ready and offers the GPUs it declares."""
        for machine in self.machines:
            self._wait(f"node {machine.name} registered", lambda m=machine: self._node(m))  # type: ignore[misc]
        self._declare_gpus()
        self.kubectl("wait", "node", "--all", "--for=condition=Ready", TIMEOUT)

    def install_dns(self, image: Image) -> None:
        """Install CoreDNS."""
        self.apply(*coredns_manifests(image.reference))

    def set_cable(self, *, up: bool) -> None:
        """Partition the site from all others, or heal it. The API server stays up inside."""
        for machine in self.machines:
            machine.set_cable(up=up)

    def _declare_gpus(self) -> None:
        gpus = self.spec.gpus
        if gpus is None:
            return
        path = "/status/capacity/nvidia.com~1gpu"
        patch = json.dumps([{"op": "add", "path": path, "value": str(gpus.count)}])
        for machine in self.machines:
            target = ["patch", "node", machine.name, "--subresource=status", "--type=json"]
            self.kubectl(*target, "-p", patch)

    def _node(self, machine: Machine) -> str:
        machine.check_daemons()
        found = self.kubectl("get", "node", machine.name, "--ignore-not-found", "-o", "name")
        return found.strip()

    def _wait(self, what: str, condition: Callable[[], object]) -> None:
        wait_until(condition, what=f"{self.name}: {what}", poll_s=0.5)
