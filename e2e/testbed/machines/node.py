"""What makes a machine a Kubernetes node: containerd, kubelet, kube-proxy and their settings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from e2e.testbed.build.binaries import Binaries
from e2e.testbed.cluster.controlplane import ControlPlane
from e2e.testbed.host.packages import system_program
from e2e.testbed.machines.containerd import SOCKET, Template, cri_config
from e2e.testbed.machines.machine import Machine

CLUSTER_DNS = "10.96.0.10"
_AGAIN = ("bash", "-c", 'for _ in 1 2 3 4 5; do "$@"; sleep 1; done')
"""Starts a program again when it ends, as systemd does on a node, but not for ever.

A kubelet ends where containerd does not answer yet, kube-proxy where the node gets its addresses
half a minute after it.
"""


@dataclass(frozen=True, slots=True)
class Node:
    """A machine with its daemons."""

    machine: Machine
    control_plane: ControlPlane
    binaries: Binaries

    def start(self, template: Template, labels: Mapping[str, str]) -> None:
        """Start the daemons; the node registers itself."""
        folder = self.machine.folder
        template.clone(folder / "containerd")
        (folder / "cni").mkdir()
        (folder / "cni" / "10-bridge.conflist").write_text(cni_config(self.machine.pod_subnet))
        (folder / "containerd.toml").write_text(cri_config(folder))
        self.machine.run(
            "containerd", [system_program("containerd"), "--config", folder / "containerd.toml"]
        )
        self._start_kubelet(labels)
        self._start_proxy()

    def _start_kubelet(self, labels: Mapping[str, str]) -> None:
        folder, name = self.machine.folder, self.machine.name
        client_ca = self.control_plane.client_ca.identity.cert
        config = kubelet_config(self.machine.record.cgroup, client_ca)
        (folder / "kubelet.yaml").write_text(yaml.safe_dump(config))
        identity = self.control_plane.kubeconfig_for(f"system:node:{name}", ["system:nodes"])
        argv: list[str | Path] = [
            self.binaries["kubelet"],
            f"--config={folder / 'kubelet.yaml'}",
            f"--kubeconfig={identity}",
            f"--hostname-override={name}",
            f"--root-dir={folder / 'kubelet'}",
            f"--cert-dir={folder / 'kubelet-pki'}",
            f"--node-ip={self.machine.address}",
            "--node-labels=" + ",".join(f"{k}={v}" for k, v in labels.items()),
        ]
        self.machine.run("kubelet", [*_AGAIN, "kubelet", *argv])

    def _start_proxy(self) -> None:
        identity = self.control_plane.kubeconfig_for("system:kube-proxy")
        argv: list[str | Path] = [
            self.binaries["kube-proxy"],
            f"--kubeconfig={identity}",
            f"--hostname-override={self.machine.name}",
            "--proxy-mode=nftables",
            f"--cluster-cidr={self.machine.plan.pods}",
            # The namespace may not write the host's conntrack limits.
            "--conntrack-max-per-core=0",
        ]
        self.machine.run("kube-proxy", [*_AGAIN, "kube-proxy", *argv])


def kubelet_config(cgroup: str, client_ca: Path) -> dict[str, object]:
    """Return the kubelet's configuration."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "failCgroupV1": False,
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{cgroup}",
        "enforceNodeAllocatable": [],
        "failSwapOn": False,
        "containerRuntimeEndpoint": f"unix://{SOCKET}",
        "clusterDNS": [CLUSTER_DNS],
        "clusterDomain": "cluster.local",
        "resolvConf": "",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(client_ca)},
        },
        "authorization": {"mode": "Webhook"},
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
        "imageMaximumGCAge": "0s",
        "serializeImagePulls": False,
        "maxPods": 200,
    }


def cni_config(subnet: str) -> str:
    """Return the bridge network of one machine's pods."""
    ipam = {
        "type": "host-local",
        "ranges": [[{"subnet": subnet}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    bridge = {
        "type": "bridge",
        "bridge": "cni0",
        "isGateway": True,
        "ipMasq": True,
        "hairpinMode": True,
        "ipam": ipam,
    }
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    return json.dumps({"cniVersion": "1.0.0", "name": "hansa", "plugins": [bridge, ports]})
