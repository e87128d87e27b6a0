"""The `simulated` provider: real control planes, nodes and pods played by KWOK. Needs no root.

Placement, grants, admission and audit are real here; nothing runs in the pods, and the output says
so. There is no KubeRay either: KWOK plays a RayJob's status the way the operator would report it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from e2e.testbed.addons import kuberay, kwok, second_lock
from e2e.testbed.build.binaries import Binaries, cache_root
from e2e.testbed.cluster.cluster import Cluster
from e2e.testbed.cluster.controlplane import ControlPlane, Home
from e2e.testbed.host import processes
from e2e.testbed.host.clock import TIMEOUT
from e2e.testbed.host.processes import MARKER, Process
from e2e.testbed.machines import state
from e2e.testbed.machines.state import State
from e2e.testbed.providers.provider import Provider, ProviderUnavailableError

PROGRAMS = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubectl",
    "kwok",
)
NOTICE = "pods are simulated: nothing runs in them"


class SimulatedSite(Cluster):
    """A real control plane with played nodes."""

    def start(
        self, binaries: Binaries, folder: Path, *, marker: str, die_with_parent: bool
    ) -> None:
        """Start the control plane and KWOK, and register the nodes."""
        self.control_plane = ControlPlane(
            binaries,
            Home(folder / "control-plane", marker, die_with_parent=die_with_parent),
            controllers=True,
            scheduler=True,
        )
        self.control_plane.start()
        if self.spec.kuberay:
            kuberay.install_crds(self, binaries)
        config = folder / "kwok.yaml"
        config.write_text(kwok.stages(binaries.source_of("kwok"), rayjobs=self.spec.kuberay))
        processes.start(
            "kwok",
            kwok.command(binaries, self._player(), config),
            log=folder / "kwok.log",
            env={MARKER: marker},
            die_with_parent=die_with_parent,
        )
        self.apply(*(kwok.machine(self.spec, i) for i in range(self.spec.machines)))
        if self.spec.abroad:
            self.apply(kwok.machine_abroad(self.spec))

    def _player(self) -> Path:
        """Return KWOK's identity: it plays KubeRay, and the second lock goes by the name."""
        return self.control_plane.kubeconfig_for(second_lock.KUBERAY, second_lock.MASTERS)

    def wait_nodes(self) -> None:
        """Return once every node is ready."""
        self.kubectl("wait", "node", "--all", "--for=condition=Ready", TIMEOUT)


class SimulatedTestbed(Provider[SimulatedSite]):
    """A hub and members whose pods are simulated."""

    pods = "simulated"

    @property
    def folder(self) -> Path:
        """Where its processes write."""
        return cache_root() / "run" / self.name

    def up(self) -> None:
        """Bring the league up; on any failure take it down again."""
        if sys.platform != "linux":
            raise ProviderUnavailableError("the simulated provider needs Linux")
        self.progress.note(NOTICE)
        self.binaries.ensure(*PROGRAMS)
        self.down()
        state.claim(lambda number: State(self.name, number, str(self.folder), "simulated"))
        with ExitStack() as on_failure:
            on_failure.callback(self.down)
            self._bring_up()
            on_failure.pop_all()

    def run(self, name: str, argv: Sequence[str | Path], env: Mapping[str, str]) -> Process:
        """Start a host process of the league (a hub, a member): it ends with the testbed."""
        return processes.start(
            name,
            argv,
            log=self.folder / f"{name}.log",
            env={**env, MARKER: self.name},
            die_with_parent=self._die_with_parent,
        )

    def _bring_up(self) -> None:
        for spec in self.specs:
            site = SimulatedSite(spec)
            folder = self.folder / spec.name
            folder.mkdir(parents=True)
            with self.progress.step(f"control plane of {spec.name}"):
                site.start(
                    self.binaries,
                    folder,
                    marker=self.name,
                    die_with_parent=self._die_with_parent,
                )
            self.sites[spec.name] = site
        with self.progress.step("nodes ready"):
            for site in self.sites.values():
                site.wait_nodes()
