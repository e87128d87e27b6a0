"""What every provider's clusters have in common: a name, a kubeconfig, kubectl, an audit log."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from e2e.testbed.cluster.audit import read_events
from e2e.testbed.cluster.controlplane import ControlPlane
from e2e.testbed.cluster.spec import SiteSpec
from e2e.testbed.host.clock import TIMEOUT


class Cluster:
    """A site's cluster, seen from outside."""

    control_plane: ControlPlane

    def __init__(self, spec: SiteSpec) -> None:
        self.spec = spec
        self.name = spec.name

    @property
    def kubeconfig(self) -> Path:
        """The admin's kubeconfig; its address is reachable from the host and from every site."""
        return self.control_plane.kubeconfig

    @property
    def url(self) -> str:
        """The API server's address."""
        return self.control_plane.url

    @property
    def audit_log(self) -> Path:
        """Every write, with whole pods."""
        return self.control_plane.audit_log

    def kubectl(self, *args: str | Path, stdin: str | None = None) -> str:
        """Run kubectl as the admin."""
        return self.control_plane.kubectl(*args, stdin=stdin)

    def get(self, *args: str) -> dict[str, Any]:
        """Return what ``kubectl get … -o json`` prints."""
        found: dict[str, Any] = json.loads(self.kubectl("get", *args, "-o", "json"))
        return found

    def apply(self, *objects: Mapping[str, Any]) -> None:
        """Apply objects, server side."""
        self.control_plane.apply(*objects)

    def wait_rollout(self, namespace: str, workload: str) -> None:
        """Return once a workload's pods (``deployment/x``, ``daemonset/y``) are ready."""
        self.kubectl("-n", namespace, "rollout", "status", workload, TIMEOUT)

    def pods_created(self) -> list[dict[str, Any]]:
        """Return every pod whose creation the API server granted, as it was stored."""
        return [
            event["responseObject"]
            for event in read_events(self.audit_log)
            if event["verb"] == "create"
            and event["objectRef"]["resource"] == "pods"
            and not event["objectRef"].get("subresource")
            and event["responseStatus"]["code"] == 201  # HTTP "created"
        ]
