"""The `local` provider: real clusters with real pods on one Linux machine; needs root, no Docker."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from e2e.testbed.addons import kuberay
from e2e.testbed.build.binaries import cache_root
from e2e.testbed.build.images import COREDNS, KUBERAY, ImageBuilder
from e2e.testbed.build.layers import Image
from e2e.testbed.host.limits import raise_limits
from e2e.testbed.host.packages import ensure_packages
from e2e.testbed.machines import network, state
from e2e.testbed.machines.containerd import Template
from e2e.testbed.machines.machine import Machine
from e2e.testbed.machines.network import Plan
from e2e.testbed.machines.state import MachineRecord, State
from e2e.testbed.machines.teardown import kill_processes
from e2e.testbed.providers.provider import Provider, ProviderUnavailableError
from e2e.testbed.providers.site import Site

T = TypeVar("T")
PROGRAMS = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "kubectl",
    "kwok",
    "coredns",
    "helm",
    "manager",
)


class LocalTestbed(Provider[Site]):
    """A hub and members, each a real cluster in namespaces of its own."""

    pods = "real"

    images: Mapping[str, Image] = MappingProxyType({})
    """Built or found by ``up``."""

    def prepare(self) -> ImageBuilder:
        """Get everything that lasts: packages, programs, images. Nothing is started."""
        require_root_on_linux()
        raise_limits(self.progress)
        ensure_packages(self.progress)
        with self.progress.step("programs"):
            self.binaries.ensure(*PROGRAMS)
        builder = ImageBuilder(self.binaries, self.progress)
        self.images = builder.all()
        return builder

    def up(self) -> None:
        """Bring the league up; on any failure take it down again."""
        builder = self.prepare()
        self.down()
        template = Template(self.progress)
        template.ensure(list(self.images.values()), builder.store, prune=not state.load_all())
        try:
            self._bring_up(template)
        except BaseException:
            self.down()
            raise

    def _bring_up(self, template: Template) -> None:
        record = self._record()
        plan = Plan(record.number)
        with self.progress.step("machines and wires"):
            network.make_bridge(plan)
            self._make_sites(record, plan)
        self._each("control planes", Site.start_control_plane)
        self._each("nodes", lambda site: site.start_nodes(template))
        self._each("nodes ready", Site.wait_nodes)
        self._each("cluster DNS and KubeRay", self._install_addons)

    def _record(self) -> State:
        """Write down every name before anything bears it."""
        return state.claim(self._described)

    def _described(self, number: int) -> State:
        plan = Plan(number)
        machines = [
            MachineRecord(name=name, veth=plan.veth(i), cgroup=f"hansa-{self.name}-{name}")
            for i, name in enumerate(self._machine_names())
        ]
        folder = cache_root() / "run" / self.name
        return State(
            self.name, number, str(folder), "local", bridge=plan.bridge, machines=tuple(machines)
        )

    def _machine_names(self) -> list[str]:
        return [f"{spec.name}-{i}" for spec in self.specs for i in range(spec.machines)]

    def _make_sites(self, record: State, plan: Plan) -> None:
        index = 0
        for spec in self.specs:
            folder = Path(record.folder) / spec.name
            machines = []
            for _ in range(spec.machines):
                note = record.machines[index]
                machine = Machine(note, index, plan, folder / note.name, self.name)
                machine.start(die_with_parent=self._die_with_parent)
                machines.append(machine)
                index += 1
            self.sites[spec.name] = Site(spec, machines, self.binaries, folder / "control-plane")

    def _install_addons(self, site: Site) -> None:
        site.install_dns(self.images[COREDNS])
        if site.spec.kuberay:
            kuberay.install(site, self.binaries, self.images[KUBERAY])
            site.wait_rollout(kuberay.NAMESPACE, f"deployment/{kuberay.DEPLOYMENT}")
        site.wait_rollout("kube-system", "deployment/coredns")

    def _each(self, title: str, action: Callable[[Site], None]) -> None:
        """Do something at every site at once."""
        self.at_once(title, action, self.sites.values())

    def at_once(self, title: str, action: Callable[[T], None], items: Collection[T]) -> None:
        """Do something with all items at once; the first failure, or Ctrl-C, ends the testbed.

        The pool waits for its threads, and they for clusters: without these they fail now.
        """
        with self.progress.step(title), ThreadPoolExecutor(len(items)) as pool:
            try:
                for done in as_completed([pool.submit(action, item) for item in items]):
                    done.result()
            except BaseException:
                kill_processes(self.name)
                raise


def require_root_on_linux() -> None:
    """Raise ``ProviderUnavailableError`` where real clusters cannot run."""
    if sys.platform != "linux":
        raise ProviderUnavailableError("the local provider needs Linux; try --provider kind")
    if os.geteuid():
        raise ProviderUnavailableError("the local provider needs root; try --provider simulated")
