"""A control plane that files of tests share comes to each without what another left."""

from __future__ import annotations

from pathlib import Path

import pytest

from e2e.testbed.cluster.controlplane import ControlPlane
from e2e.testbed.cluster.readiness import wait_established
from tests.apiserver.cli.kit import job, node
from tests.apiserver.shared import clear, lent

pytestmark = pytest.mark.apiserver

CRDS = Path(__file__).parents[3] / "crds"


def test_what_a_file_leaves_of_a_league_is_gone(running_plane: ControlPlane) -> None:
    clear(running_plane)  # also where nothing of ours was ever defined
    running_plane.kubectl("apply", "--server-side", "--force-conflicts", "-f", CRDS)
    wait_established(running_plane)
    held = job("held")
    held["metadata"] |= {"namespace": "default", "finalizers": ["example.org/nobody-removes"]}
    lease = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "hansa-hub", "namespace": "default"},
    }
    with lent(running_plane) as plane:
        plane.apply(held, node("left", "EE", "1"), lease)
    left = running_plane.kubectl("get", "aijobs,sovereignnodes", "-A", "-o", "name")
    assert left + running_plane.kubectl("get", "leases", "-n", "default", "-o", "name") == ""
