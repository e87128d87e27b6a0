"""A dead hub does not look healthy to the commands that show what it wrote, on a real API server."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import yaml

from e2e.testbed.cluster.controlplane import ControlPlane
from e2e.testbed.cluster.readiness import wait_established
from hansa.adapters.clock import SystemClock
from hansa.adapters.kube.client import KubeCluster
from hansa.adapters.kube.config import from_kubeconfig
from hansa.cli.main import sentence
from hansa.errors import NotFound
from hansa.model.times import rfc3339_micro
from tests.apiserver.cli.kit import JOB_STATUS, POOL, League, job

pytestmark = pytest.mark.apiserver

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def league(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> League:
    control_plane.kubectl("apply", "--server-side", "--force-conflicts", "-f", ROOT / "crds")
    wait_established(control_plane)
    return League(control_plane, tmp_path_factory.mktemp("health"))


def row(text: str, word: str) -> str:
    return next(line for line in text.splitlines() if line.lstrip().startswith(word))


@pytest.mark.parametrize("kind", ["/apis/never.hansa.dev/v1/jobs", "/apis/hansa.dev/v1/aijobs"])
def test_a_cluster_without_the_kinds_is_told_from_one_without_the_object(
    league: League, kind: str
) -> None:
    """In the server's own words, which are not those of kubectl."""

    async def ask(path: str) -> str:
        place = from_kubeconfig(league.plane.kubeconfig)
        async with KubeCluster(place, clock=SystemClock(), agent="test") as cluster:
            with pytest.raises(NotFound) as caught:
                await cluster.get(path)
        return sentence(caught.value)

    assert "does not know Hansa's kinds" in asyncio.run(ask(kind))
    known = "/apis/hansa.dev/v1alpha1/namespaces/default/aijobs/none"
    assert '"none" not found' in asyncio.run(ask(known))


def test_doctor_looks_for_the_hub_itself(league: League) -> None:
    """Kinds and rights are there; what would act on them is not."""
    result = league.run("doctor", "--side", "hub")
    assert result.exit_code == 1, result.output
    assert "served" in row(result.output, "AIJob")
    assert "not installed" in row(result.output, "Hub's pods")
    assert "no hub has ever led here" in row(result.output, "Hub ")
    assert "none of the hub's is installed" in row(result.output, "Admission policies")


def test_a_hub_that_died_does_not_look_healthy(league: League) -> None:
    lease = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "hansa-hub", "namespace": "default"},
        "spec": {"holderIdentity": "hub-0", "leaseDurationSeconds": 3600},
    }

    def renew(seconds_ago: float) -> None:
        renewed = rfc3339_micro(SystemClock().now() - seconds_ago)
        league.apply(lease | {"spec": lease["spec"] | {"renewTime": renewed}})

    try:
        renew(7300)
        for command in ("status", "nodes"):
            dead = league.run(command)
            assert dead.exit_code == 3, dead.output
            assert "no hub works: hub-0 held Lease" in dead.stdout
            assert "2 h ago" in dead.stdout
        renew(1)
        alive = league.run("status")
        assert alive.exit_code == 0, alive.output
        assert "hub-0 leads" in alive.stdout
    finally:
        # Others on this server look at a league that no hub ever led.
        league.plane.kubectl("delete", "lease", "hansa-hub", "-n", "default")


def test_a_job_is_submitted_waited_for_and_cancelled(league: League, tmp_path: Path) -> None:
    manifest = job("submitted")
    manifest["metadata"]["namespace"] = "default"
    file = tmp_path / "job.yaml"
    file.write_text(yaml.safe_dump(manifest))
    where = ("-n", "default")

    made = league.run("submit", str(file))
    assert made.exit_code == 0, made.output
    assert "submitted" in row(league.run("queue").output, POOL)
    late = league.run("wait", "submitted", *where, "--for", "placed", "--timeout", "0.1")
    assert late.exit_code == 4, late.output
    assert league.run("cancel", "submitted", *where).exit_code == 0
    path = ("get", "aijob", "submitted", *where, "-o", "jsonpath={.spec.suspend}")
    assert league.plane.kubectl(*path) == "true"
    league.set_status("aijob", "submitted", JOB_STATUS, *where)
    done = league.run("wait", "submitted", *where)
    assert done.exit_code == 0, done.output
    assert "Succeeded at cli-riga" in done.output
    league.plane.kubectl("delete", "aijob", "submitted", *where)
