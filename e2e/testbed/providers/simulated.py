"""The `simulated` provider: real control planes, nodes and pods played by KWOK. Needs no root.

Placement, grants, admission and audit are real here; nothing runs in the pods, and the output says
so. There is no KubeRay either: KWOK plays a RayJob's status the way the operator would report it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from importlib import resources
from pathlib import Path
from typing import Any

from e2e.testbed.addons import kuberay, second_lock
from e2e.testbed.build.binaries import Binaries, cache_root
from e2e.testbed.cluster.cluster import Cluster
from e2e.testbed.cluster.controlplane import ControlPlane
from e2e.testbed.cluster.spec import SiteSpec
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
            folder / "control-plane",
            controllers=True,
            scheduler=True,
            die_with_parent=die_with_parent,
            marker=marker,
        )
        self.control_plane.start()
        if self.spec.kuberay:
            kuberay.install_crds(self, binaries)
        config = folder / "kwok.yaml"
        config.write_text(stages(binaries.source_of("kwok"), rayjobs=self.spec.kuberay))
        processes.start(
            "kwok",
            [
                binaries["kwok"],
                f"--kubeconfig={self._player()}",
                f"--config={config}",
                "--manage-all-nodes=true",
                "--node-lease-duration-seconds=40",
            ],
            log=folder / "kwok.log",
            env={MARKER: marker},
            die_with_parent=die_with_parent,
        )
        self.apply(*(node_manifest(self.spec, i) for i in range(self.spec.machines)))

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


def node_manifest(spec: SiteSpec, index: int) -> dict[str, Any]:
    """Return a node that KWOK plays."""
    capacity = {"cpu": str(spec.cpus), "memory": f"{spec.memory_gib}Gi", "pods": "200"}
    if spec.gpus:
        capacity["nvidia.com/gpu"] = str(spec.gpus.count)
    labels = {"kubernetes.io/arch": "amd64"} | spec.node_labels()
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": f"{spec.name}-{index}", "labels": labels},
        "status": {"capacity": capacity, "allocatable": capacity},
    }


def stages(kwok_source: Path, *, rayjobs: bool) -> str:
    """Return KWOK's configuration: its own fast stages, and a RayJob's status if wanted."""
    folder = kwok_source / "kustomize" / "stage"
    names = ("node/fast", "node/heartbeat-with-lease", "pod/fast")
    files = [p for name in names for p in sorted((folder / name).glob("*.yaml"))]
    texts = [p.read_text() for p in files if p.name != "kustomization.yaml"]
    if rayjobs:
        texts.append(
            resources.files("e2e.testbed.providers").joinpath("rayjob-stages.yaml").read_text()
        )
    return "\n---\n".join(texts)
