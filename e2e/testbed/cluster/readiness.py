"""What the control plane itself makes a moment later: definitions served, service accounts."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from e2e.testbed.host.clock import ASKED_S, TIMEOUT, wait_until


class Cluster(Protocol):
    """What waiting needs of a cluster."""

    def kubectl(self, *args: str | Path, stdin: str | None = None) -> str:
        """Run kubectl as the admin."""


def wait_established(cluster: Cluster) -> None:
    """Return once every definition is served.

    A new one's conditions are null. By a condition or a filter ``kubectl wait`` fails on these; by a
    place it waits.
    """
    for event in ("jsonpath={.status.conditions[0].type}", "condition=Established"):
        cluster.kubectl("wait", f"--for={event}", "crd", "--all", TIMEOUT)


def wait_service_account(cluster: Cluster, namespace: str) -> None:
    """Return once a new namespace has the account that its pods run as."""
    asked = ("get", "serviceaccount", "default", "-n", namespace, "--ignore-not-found")
    what = f"the service account of {namespace}"
    wait_until(lambda: cluster.kubectl(*asked), what=what, poll_s=ASKED_S)
