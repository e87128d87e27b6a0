"""Hub and member agents as host processes: for clusters whose pods do not run.

The programs are those the charts run, with the same settings; only the place differs.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2e.testbed.addons import second_lock
from e2e.testbed.build.binaries import Binaries
from e2e.testbed.cluster.controlplane import ControlPlane
from e2e.testbed.cluster.readiness import wait_established
from e2e.testbed.host import processes
from e2e.testbed.host.ports import free_ports
from e2e.testbed.host.processes import MARKER, Process
from e2e.testbed.league import founding
from e2e.testbed.league.founding import SYSTEM, HubKey
from hansa.reconcile.member.run_request import RESOLVER

CRDS = Path(__file__).resolve().parents[3] / "crds"
HUB_USER, LEDGER_USER = "hansa-hub", "hansa-ledger"
MASTERS = ["system:masters"]
HUB_KINDS = ("sovereignnodes", "computepools", "projects", "aijobs", "workgrants")


@dataclass(frozen=True, slots=True)
class Host:
    """Where agents run: a folder for logs and keys, and the mark that teardown looks for."""

    folder: Path
    marker: str = ""

    def start(self, name: str, argv: Sequence[str | Path], env: Mapping[str, str]) -> Process:
        """Start a program that ends with this process."""
        marked = {**env, MARKER: self.marker} if self.marker else env
        log = self.folder / f"{name}.log"
        return processes.start(name, argv, log=log, env=marked, die_with_parent=True)


def install_kinds(cluster: ControlPlane, *files: Path) -> None:
    """Apply resource definitions and wait until they are served."""
    for file in files:
        cluster.kubectl("apply", "--server-side", "-f", file)
    wait_established(cluster)


def prepare_hub(hub: ControlPlane) -> None:
    """Install the hub's kinds, its namespace and the rights of those who want to join."""
    install_kinds(hub, *(CRDS / f"{name}.yaml" for name in HUB_KINDS))
    hub.apply(founding.namespace(SYSTEM), *_join_rights())


def start_hub(
    host: Host, hub: ControlPlane, key: HubKey, settings: Mapping[str, str] | None = None
) -> Process:
    """Start ``hansa hub``; ``settings``: of its environment, before those that are chosen here."""
    pem = _written(host, key)
    env = {
        "HANSA_HUB_CLUSTER__KUBECONFIG": str(hub.kubeconfig_for(HUB_USER, MASTERS)),
        "HANSA_HUB_CLUSTER__NAMESPACE": SYSTEM,
        "HANSA_HUB_GRANTS__KEY_FILE": str(pem),
        **_serving("HUB"),
        **(settings or {}),
    }
    return host.start("hansa-hub", [sys.executable, "-m", "hansa", "hub"], env)


def start_ledger(
    host: Host, hub: ControlPlane, key: HubKey, folder: Path, *, pending_s: int
) -> Process:
    """Start ``hansa ledger`` with its books, its log and the log's index in ``folder``.

    ``pending_s``: how long what was charged stays pending.
    """
    folder.mkdir(parents=True, exist_ok=True)
    env = {
        "HANSA_LEDGER_CLUSTER__KUBECONFIG": str(hub.kubeconfig_for(LEDGER_USER, MASTERS)),
        "HANSA_LEDGER_SIGNING__KEY_FILE": str(_written(host, key)),
        "HANSA_LEDGER_DATABASE__URL": f"sqlite:///{folder / 'books.db'}",
        "HANSA_LEDGER_TERMS__PENDING_SECONDS": str(pending_s),
        "HANSA_LEDGER_LOG__FOLDER": str(folder / "log"),
        "HANSA_LEDGER_LOG__INDEX": str(folder / "leaves.db"),
        **_serving("LEDGER"),
    }
    return host.start("hansa-ledger", [sys.executable, "-m", "hansa", "ledger"], env)


def prepare_member(
    site: ControlPlane, policy: Mapping[str, Any], binaries: Binaries, *data_paths: Path
) -> None:
    """Install the member's kind, its second lock, its namespace, its policy and a declared KubeRay."""
    install_kinds(site, CRDS / "memberpolicies.yaml")
    second_lock.install(site, binaries, *data_paths)
    site.apply(
        founding.namespace(SYSTEM),
        founding.namespace("kuberay-system"),
        _declared_kuberay(),
        _declared_resolver(),
        policy,
    )


def start_member(host: Host, node: str, *, hub: ControlPlane, site: ControlPlane) -> Process:
    """Let a member join, then start ``hansa member``."""
    bootstrap = founding.bootstrap_kubeconfig(hub, host.folder / f"{node}.bootstrap")
    founding.join(node, hub=hub, member=site, bootstrap=bootstrap)
    kubeconfig = site.kubeconfig_for(second_lock.AGENT, second_lock.MASTERS)
    env = {
        "HANSA_MEMBER_NODE": node,
        "HANSA_MEMBER_NAMESPACE": SYSTEM,
        "HANSA_MEMBER_IDENTITY__KUBECONFIG": str(kubeconfig),
        **_serving("MEMBER"),
    }
    return host.start(f"hansa-member-{node}", [sys.executable, "-m", "hansa", "member"], env)


def _written(host: Host, key: HubKey) -> Path:
    pem = host.folder / "hub.pem"
    pem.touch(mode=0o600)
    pem.write_text(key.private_pem)
    return pem


def _serving(process: str) -> dict[str, str]:
    return {
        f"HANSA_{process}_SERVING__HEALTH_PORT": str(free_ports(1)[0]),
        f"HANSA_{process}_SERVING__BIND": "127.0.0.1",
    }


def _declared_kuberay() -> dict[str, Any]:
    """Return KubeRay's Deployment as an object: its version is read from it, nothing runs."""
    labels = {"app.kubernetes.io/name": "kuberay-operator"}
    container = {"name": "kuberay-operator", "image": "hansa.local/kuberay-operator:v1.6.1"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "kuberay-operator", "namespace": "kuberay-system", "labels": labels},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def _declared_resolver() -> dict[str, Any]:
    """Return the resolver's Service: its address is written into pods, nothing runs."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": RESOLVER, "namespace": SYSTEM},
        "spec": {"ports": [{"name": "dns", "port": 53, "protocol": "UDP"}]},
    }


def _join_rights() -> list[dict[str, Any]]:
    account = {"name": "hansa-join", "namespace": SYSTEM}
    group = "rbac.authorization.k8s.io"
    rule = {"apiGroups": ["hansa.dev"], "resources": ["sovereignnodes"], "verbs": ["get"]}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account},
        {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "hansa-join"},
            "rules": [rule],
        },
        {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "hansa-join"},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "hansa-join"},
            "subjects": [{"kind": "ServiceAccount", **account}],
        },
    ]
