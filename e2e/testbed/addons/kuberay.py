"""KubeRay in a member cluster: CRDs, RBAC and operator as its own module defines them.

The operator runs as a pod: outside, it could not resolve a Ray head's service and would call a job
failed that succeeded.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import yaml

from e2e.testbed.build.binaries import Binaries
from e2e.testbed.build.layers import Image
from e2e.testbed.cluster.readiness import wait_established

NAMESPACE = "kuberay-system"
DEPLOYMENT = "kuberay-operator"
_RBAC = (
    "service_account",
    "role",
    "role_binding",
    "leader_election_role",
    "leader_election_role_binding",
)
_RESOURCES = {"requests": {"cpu": "20m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}}
"""Upstream's limit of a tenth of a core would slow every job down."""


class Cluster(Protocol):
    """What an installation needs of a site."""

    def kubectl(self, *args: str | Path, stdin: str | None = None) -> str:
        """Run kubectl as the admin."""

    def apply(self, *objects: dict[str, Any]) -> None:
        """Apply objects, server side."""


def install(site: Cluster, binaries: Binaries, image: Image) -> None:
    """Install the resource definitions and the operator into ``site``."""
    install_crds(site, binaries)
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    site.apply(namespace, *manifests(binaries.source_of("kuberay"), image.name))


def install_crds(site: Cluster, binaries: Binaries) -> None:
    """Install only the resource definitions (enough where pods are simulated)."""
    folder = binaries.source_of("kuberay") / "config" / "crd" / "bases"
    site.kubectl("apply", "--server-side", "-f", folder)
    wait_established(site)


def manifests(source: Path, image: str) -> list[dict[str, Any]]:
    """Return KubeRay's own manifests, in our namespace and with our image."""
    files = [source / "config" / "rbac" / f"{name}.yaml" for name in _RBAC]
    files += [source / "config" / "manager" / f"{name}.yaml" for name in ("manager", "service")]
    found = [item for file in files for item in yaml.safe_load_all(file.read_text()) if item]
    for item in found:
        _move(item)
        if item["kind"] == "Deployment":
            _adapt(item["spec"]["template"]["spec"]["containers"][0], image)
    return found


def _adapt(container: dict[str, Any], image: str) -> None:
    container |= {"image": image, "imagePullPolicy": "Never", "resources": _RESOURCES}
    for probe in ("livenessProbe", "readinessProbe"):
        container[probe]["initialDelaySeconds"] = 1


def _move(item: dict[str, Any]) -> None:
    if not item["kind"].startswith("Cluster"):
        item["metadata"]["namespace"] = NAMESPACE
    for subject in item.get("subjects", []):
        subject["namespace"] = NAMESPACE
