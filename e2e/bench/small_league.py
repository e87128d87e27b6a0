"""A league for measuring: real API servers and real Hansa processes on loopback, without root.

The hub and the members are the same programs the charts run; their clusters have no kubelet. KWOK
keeps the declared machines Ready. KubeRay's resource definitions are installed and its operator
is declared but not started: the benchmark ends where KubeRay begins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from e2e.testbed.addons import kwok
from e2e.testbed.build.binaries import Binaries
from e2e.testbed.cluster import audit
from e2e.testbed.cluster.controlplane import ControlPlane
from e2e.testbed.host.clock import wait_until
from e2e.testbed.host.processes import Process
from e2e.testbed.host.progress import Progress
from e2e.testbed.league import agents, founding
from e2e.testbed.league.agents import HUB_USER, Host
from hansa.api.meta import GROUP
from hansa.reconcile.member import canaries

MACHINES = 16
GPUS_EACH = 64
"""Enough that no job of the benchmark waits for a GPU: queueing is measured elsewhere."""
PRODUCT = "NVIDIA-L40S"
_COUNTED = ("aijobs", "workgrants")


@dataclass(frozen=True, slots=True)
class SmallLeague:
    """What a benchmark needs to know of a running league."""

    hub_kubeconfig: Path
    hub_audit_log: Path
    member_kubeconfigs: Sequence[Path]
    hub_pid: int
    member_pids: Sequence[int]
    apiserver_pids: Sequence[int]
    parts: Mapping[str, Sequence[int]]
    """Every process, by what it is a part of."""
    stop_hansa: Callable[[], None]
    """Ends hub and members; the API servers go on."""
    hub_user: str = HUB_USER


@contextmanager
def small_league(members: Sequence[str]) -> Iterator[SmallLeague]:
    """Bring up a hub and one member per jurisdiction; take all down again."""
    binaries, progress = Binaries(), Progress()
    with ExitStack() as stack:
        host = Host(Path(stack.enter_context(TemporaryDirectory(prefix="hansa-bench-"))))
        with progress.step(f"control planes: a hub and {len(members)} members"):
            counted = audit.writes_of(
                HUB_USER, GROUP, *(f"{kind}/*" for kind in _COUNTED), *_COUNTED
            )
            hub = stack.enter_context(ControlPlane(binaries, controllers=True, audit=counted))
            sites = [stack.enter_context(ControlPlane(binaries, audit=None)) for _ in members]
        key = founding.make_hub_key()
        with progress.step("hub"):
            agents.prepare_hub(hub)
            hub.apply(founding.namespace("bench", institution="bench-institute"), _POOL)
            hub_process = agents.start_hub(host, hub, key)
            stack.callback(hub_process.stop)
        running = []
        for jurisdiction, site in zip(members, sites, strict=True):
            with progress.step(f"member {_name(jurisdiction)} joins"):
                _furnish(site, jurisdiction, binaries, key)
                hub.apply(_sovereign_node(jurisdiction))
                agent = agents.start_member(host, _name(jurisdiction), hub=hub, site=site)
                stack.callback(agent.stop)
                stack.callback(_start_kwok(host, jurisdiction, site, binaries).stop)
            running.append(agent)
        for jurisdiction in members:
            founding.wait_node_ready(hub, _name(jurisdiction))
            _wait_inventory(hub, _name(jurisdiction))
        yield SmallLeague(
            hub.kubeconfig,
            hub.audit_log,
            [site.kubeconfig for site in sites],
            hub_process.pid,
            [agent.pid for agent in running],
            [p.pid for cp in (hub, *sites) for p in cp.processes if p.name == "kube-apiserver"],
            {
                "hub": [hub_process.pid],
                "members": [agent.pid for agent in running],
                **_parts_of("hub", [hub]),
                **_parts_of("members", sites),
            },
            lambda: _stop_all([hub_process, *running]),
        )


def _stop_all(processes: Sequence[Process]) -> None:
    for process in processes:
        process.stop()


def _parts_of(whose: str, planes: Sequence[ControlPlane]) -> dict[str, list[int]]:
    """Return the control planes' processes as ``kube-apiserver (hub)`` and so on."""
    parts: dict[str, list[int]] = {}
    for process in (process for plane in planes for process in plane.processes):
        parts.setdefault(f"{process.name} ({whose})", []).append(process.pid)
    return parts


def _wait_inventory(hub: ControlPlane, node: str) -> None:
    total = "jsonpath={.status.inventory[*].total}"

    def complete() -> bool:
        shown = hub.kubectl("get", "sovereignnode", node, "-o", total)
        return sum(map(int, shown.split())) == MACHINES * GPUS_EACH

    wait_until(complete, what=f"all GPUs of {node}", timeout_s=60, poll_s=0.5)


def _name(jurisdiction: str) -> str:
    return f"node-{jurisdiction.lower()}"


def _furnish(
    site: ControlPlane, jurisdiction: str, binaries: Binaries, key: founding.HubKey
) -> None:
    agents.install_kinds(site, binaries.source_of("kuberay") / "config" / "crd" / "bases")
    policy = {
        "apiVersion": "hansa.dev/v1alpha1",
        "kind": "MemberPolicy",
        "metadata": {"name": "local"},
        "spec": {
            "jurisdiction": jurisdiction,
            "legalControl": [jurisdiction],
            "imageRegistries": ["hansa.local/"],
            "maxConcurrentJobs": 100_000,
        },
    }
    agents.prepare_member(site, founding.with_hub_key(policy, key.public_key), binaries)
    site.apply(*(_machine(number, jurisdiction) for number in range(MACHINES)))
    # Members run no controller manager here, and only that would take this taint off again
    # and give the canary's namespace its service account.
    site.kubectl("taint", "node", "--all", "node.kubernetes.io/not-ready:NoSchedule-")
    account = {"name": "default", "namespace": canaries.NAMESPACE}
    site.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account})


def _start_kwok(host: Host, jurisdiction: str, site: ControlPlane, binaries: Binaries) -> Process:
    config = host.folder / f"{jurisdiction}-kwok.yaml"
    config.write_text(kwok.stages(binaries.source_of("kwok"), rayjobs=False))
    argv = kwok.command(binaries, site.kubeconfig, config)
    return host.start(f"kwok-{jurisdiction}", argv, {})


def _sovereign_node(jurisdiction: str) -> dict[str, Any]:
    return {
        "apiVersion": "hansa.dev/v1alpha1",
        "kind": "SovereignNode",
        "metadata": {"name": _name(jurisdiction)},
        "spec": {
            "institution": f"{_name(jurisdiction)}-university",
            "jurisdiction": jurisdiction,
            "legalControl": [jurisdiction],
            "prices": [{"gpuClass": "nvidia-l40s", "perGpuHour": "0.50"}],
        },
    }


def _machine(number: int, jurisdiction: str) -> dict[str, Any]:
    resources = {"cpu": "256", "memory": "1Ti", "pods": "500", "nvidia.com/gpu": str(GPUS_EACH)}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": f"machine-{number}",
            "labels": {
                "hansa.dev/jurisdiction": jurisdiction,
                "kubernetes.io/arch": "amd64",
                "nvidia.com/gpu.product": PRODUCT,
                "nvidia.com/gpu.memory": "46068",
            },
        },
        "status": {"allocatable": resources, "capacity": resources},
    }


_POOL = {
    "apiVersion": "hansa.dev/v1alpha1",
    "kind": "ComputePool",
    "metadata": {"name": "league"},
    "spec": {"residency": {"location": {"allow": ["World"]}, "legalControl": {"allow": ["World"]}}},
}
