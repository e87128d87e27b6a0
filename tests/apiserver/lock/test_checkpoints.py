"""A job's checkpoints on a real API server: kept over its runs, never another job's, given back in time.

The binder of volumes is Kubernetes' own; of the storage class's provisioner the test plays the part.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from e2e.testbed.build.binaries import Binaries
from e2e.testbed.host.clock import wait_until
from hansa.adapters.clock import SystemClock
from hansa.adapters.kube.client import KubeCluster
from hansa.adapters.kube.config import from_kubeconfig
from hansa.errors import Retryable, Terminal
from hansa.member.runs.checkpoint_volumes import CheckpointVolumes
from hansa.reconcile.member import data
from hansa.reconcile.member.platform import checkpoints
from hansa.reconcile.member.platform.checkpoints import CheckpointRules, Lending
from hansa.reconcile.member.run_request import RenderOptions, RunRequest
from tests.apiserver.charts.charted import Charted, installed
from tests.apiserver.lock.kit import AGENT, GOOD, MERGE, REFUSED, Server, make_by_law, rule_of
from tests.apiserver.lock.lawful import REQUEST, law_of
from tests.apiserver.member.kit import install_kuberay

pytestmark = pytest.mark.apiserver
RULES = CheckpointRules("kept", "1Gi", most=1, retention_s=3600)
CLASSES = {
    "kept": {"reclaimPolicy": "Retain"},
    "lost": {"reclaimPolicy": "Delete"},
    "late": {"reclaimPolicy": "Retain", "volumeBindingMode": "WaitForFirstConsumer"},
}
OTHER_JOB = "11111111-0000-4000-8000-000000000000"


@dataclass
class LaterClock(SystemClock):
    """A clock that goes before all others."""

    ahead_s: float = 0.0

    def now(self) -> float:
        return super().now() + self.ahead_s


@pytest.fixture(scope="module")
def member(binaries: Binaries) -> Iterator[Charted]:
    runs = {"checkpoints": {"storageClass": "kept", "size": "1Gi"}}
    with installed(binaries, "hansa-member", node="tartu", settings={"runs": runs}) as charted:
        install_kuberay(charted.plane, binaries)
        charted.apply(law_of())
        server = Server(charted.plane)
        for name, how in CLASSES.items():
            body = {"metadata": {"name": name}, "provisioner": "example.org/played", **how}
            made = server.send("POST", "/apis/storage.k8s.io/v1/storageclasses", body)
            assert made.status in GOOD, made.text
        yield charted


def request_of(epoch: int, lending: Lending) -> RunRequest:
    wire = copy.deepcopy(dict(REQUEST.wire))
    wire["epoch"] = epoch
    options = RenderOptions(checkpoints=RULES)
    grant = type(REQUEST.grant).model_validate(wire)
    return replace(REQUEST, wire=wire, grant=grant, lending=lending, options=options)


def make(server: Server, request: RunRequest) -> None:
    """Make a run but for its RayJob, as the agent and with its own rights."""
    make_by_law(server, request, slice(2), almighty=False)


def provision(server: Server, name: str, run: str) -> None:
    spec = {
        "accessModes": ["ReadWriteMany"],
        "capacity": {"storage": "1Gi"},
        "storageClassName": "kept",
        "persistentVolumeReclaimPolicy": "Retain",
        "nfs": {"server": "192.0.2.1", "path": f"/{name}"},
        "claimRef": {"namespace": run, "name": checkpoints.CLAIM},
    }
    made = server.send("POST", data.VOLUMES, {"metadata": {"name": name}, "spec": spec})
    assert made.status in GOOD, made.text


def phase(server: Server, path: str) -> Callable[[], str]:
    return lambda: str(server.get(path)["status"].get("phase"))


def agents(member: Charted, rules: CheckpointRules = RULES, ahead_s: float = 0.0) -> Any:
    place = from_kubeconfig(member.plane.kubeconfig_for(AGENT, ["system:authenticated"]))
    cluster = KubeCluster(place, clock=SystemClock())
    return cluster, CheckpointVolumes(cluster, LaterClock(ahead_s), rules)


async def lend(member: Charted, run: str, rules: CheckpointRules = RULES) -> Lending:
    cluster, volumes = agents(member, rules)
    async with cluster:
        lent: Lending = await volumes.lend(run)
        return lent


async def test_a_jobs_checkpoints_go_with_it_from_run_to_run(member: Charted):
    server = Server(member.plane)
    first, volume = request_of(1, Lending(is_lent=True)), f"{data.VOLUMES}/pvc-1"
    second = request_of(2, Lending(is_lent=True, volume="pvc-1"))
    claim = f"/api/v1/namespaces/{{}}/persistentvolumeclaims/{checkpoints.CLAIM}"

    assert await lend(member, first.name) == first.lending
    make(server, first)
    provision(server, "pvc-1", first.name)
    wait_until(lambda: phase(server, claim.format(first.name))() == "Bound", what="binding")
    with pytest.raises(Retryable, match="still holds the job's checkpoints"):
        await lend(member, second.name)

    server.send("DELETE", f"/api/v1/namespaces/{first.name}")
    wait_until(lambda: phase(server, volume)() == "Released", what="the first run to be gone")
    assert await lend(member, f"aij-{OTHER_JOB.replace('-', '')}-e1") == Lending()
    assert await lend(member, second.name) == second.lending
    make(server, second)
    wait_until(lambda: phase(server, claim.format(second.name))() == "Bound", what="binding again")
    assert server.get(volume)["spec"]["claimRef"]["namespace"] == second.name

    await _theft(server, volume)
    await _end(member, server, volume, second.name)


async def _theft(server: Server, volume: str) -> None:
    """What the agent may not do with it, nor make of it: one thing is changed at a time."""
    own = request_of(2, Lending()).name
    stolen = {
        "another job's": {"claimRef": {"namespace": f"aij-{OTHER_JOB.replace('-', '')}-e1"}},
        "a claim of data": {"claimRef": {"name": "breast-cancer"}},
        "anybody's": {"claimRef": {"namespace": "default"}},
        "one to be emptied": {"persistentVolumeReclaimPolicy": "Recycle"},
        "another class": {"storageClassName": "lost"},
    }
    for name, spec in stolen.items():
        answer = server.send(
            "PATCH", f"{volume}?dryRun=All", {"spec": spec}, user=AGENT, kind=MERGE
        )
        assert (answer.status, rule_of(answer)) == (REFUSED, "agent-volumes"), (
            f"{name}: {answer.text}"
        )
    labels = {"metadata": {"labels": {"x": "y"}}}
    answer = server.send("PATCH", f"{volume}?dryRun=All", labels, user=AGENT, kind=MERGE)
    assert rule_of(answer) == "agent-volumes", answer.text
    [of_data] = [v for v in server.items(data.VOLUMES) if v["metadata"]["name"].startswith(own)]
    taken = {"spec": {"claimRef": {"name": checkpoints.CLAIM}}}
    path = f"{data.VOLUMES}/{of_data['metadata']['name']}?dryRun=All"
    answer = server.send("PATCH", path, taken, user=AGENT, kind=MERGE)
    assert rule_of(answer) == "agent-volumes", answer.text
    good = checkpoints.claim_spec(RULES, Lending())
    for name, change in {
        "another class": {"storageClassName": "lost"},
        "a larger one": {"resources": {"requests": {"storage": "2Gi"}}},
        "a copy of another": {"dataSource": {"kind": "PersistentVolumeClaim", "name": "x"}},
        "data to write": {"volumeName": of_data["metadata"]["name"]},
    }.items():
        body = {"metadata": {"name": checkpoints.CLAIM}, "spec": good | change}
        where = f"/api/v1/namespaces/{own}/persistentvolumeclaims?dryRun=All"
        answer = server.send("POST", where, body, user=AGENT)
        assert rule_of(answer) == "agent-volumes", f"{name}: {answer.text}"


async def _end(member: Charted, server: Server, volume: str, run: str) -> None:
    """Retention counts from the end of the last run; then the class has it back."""
    server.send("DELETE", f"/api/v1/namespaces/{run}")
    wait_until(lambda: phase(server, volume)() == "Released", what="the second run to be gone")
    for ahead_s, policy in ((3000, "Retain"), (3700, "Delete")):
        cluster, volumes = agents(member, ahead_s=ahead_s)
        async with cluster:
            await volumes.give_back()
        assert server.get(volume)["spec"]["persistentVolumeReclaimPolicy"] == policy


@pytest.mark.parametrize(("name", "words"), {"lost": "make one with Retain", "late": "make one with Immediate", "none": "is not there"}.items())  # fmt: skip
async def test_a_class_that_does_not_keep_volumes_is_refused(
    member: Charted, name: str, words: str
):
    rules = replace(RULES, storage_class=name)
    server = Server(member.plane)
    role = server.get("/apis/rbac.authorization.k8s.io/v1/clusterroles/hansa-member")
    assert json.dumps(role["rules"]).count('"storageclasses"') == 1
    place = from_kubeconfig(member.plane.kubeconfig)
    async with KubeCluster(place, clock=SystemClock()) as admin:
        with pytest.raises(Terminal, match=words):
            await CheckpointVolumes(admin, SystemClock(), rules).lend("aij-0-e1")
