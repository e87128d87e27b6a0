"""The command line against a real API server, as an admin and as a data owner with few rights."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from e2e.testbed.controlplane import ControlPlane
from hansa.adapters.keys import Ed25519Signer
from hansa.cli.main import cli, sentence
from hansa.errors import HansaError
from hansa.planning.fencing import release_holds
from hansa.planning.grant_view import parse_grant
from tests.apiserver.crd_bases import GRANT_SPEC, UID

pytestmark = pytest.mark.apiserver

ROOT = Path(__file__).parents[2]
SPACE, OWNER, POOL = "cli-clinic", "cli-owner", "cli-pool"
NODES = {"cli-tartu": ("EE", "0.9"), "cli-riga": ("LV", "0.5"), "cli-lisbon": ("PT", "0.1")}
PRINT_A, PRINT_B = "sha256:" + "a" * 64, "sha256:" + "b" * 64
WHEN = "2026-01-01T00:00:00Z"


def node(name: str, jurisdiction: str, price: str) -> dict:
    return {
        "apiVersion": "hansa.dev/v1alpha1",
        "kind": "SovereignNode",
        "metadata": {"name": name},
        "spec": {
            "institution": f"{name}-uni",
            "jurisdiction": jurisdiction,
            "legalControl": [jurisdiction],
            "accepted": "Accepted",
            "prices": [{"gpuClass": "nvidia-t4", "perGpuHour": price}],
        },
    }


def node_status(jurisdiction: str) -> dict:
    shape = {"machines": 1, "gpuClass": "nvidia-t4", "gpus": 2, "gpuMemory": "16Gi"}
    return {
        "declaredJurisdiction": jurisdiction,
        "declaredLegalControl": [jurisdiction],
        "switch": "Open",
        "inventory": [{"gpuClass": "nvidia-t4", "memory": "16Gi", "total": 2}],
        "shapes": [shape | {"cpu": "64", "memory": "256Gi"}],
        "datasets": [{"name": "cli-scans", "jurisdiction": "EE"}] if jurisdiction == "EE" else [],
    }


def job(name: str) -> dict:
    return {
        "apiVersion": "hansa.dev/v1alpha1",
        "kind": "AIJob",
        "metadata": {"name": name, "namespace": SPACE},
        "spec": {
            "pool": POOL,
            "image": "hansa.local/ray@sha256:" + "0" * 64,
            "entrypoint": ["python3", "x.py"],
            "ray": {"version": "2.60.0", "workers": {"count": 1, "gpus": 1}},
            "residency": {"location": {"allow": ["Baltic"]}},
        },
    }


JOB_STATUS = {
    "verdicts": [{"node": "cli-lisbon", "reason": "ResidencyDenied", "message": "stands in PT"}],
    "node": "cli-riga",
    "epoch": 1,
    "finishedAt": WHEN,
    "logTail": "epoch 1\naccuracy 0.97",
    "conditions": [
        {"type": "Succeeded", "status": "True", "reason": "Succeeded", "lastTransitionTime": WHEN}
    ],
}


class League:
    """A control plane with a small league on it."""

    def __init__(self, plane: ControlPlane, folder: Path) -> None:
        self.plane = plane
        self.folder = folder

    def apply(self, *manifests: dict) -> None:
        self.plane.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(manifests))

    def set_status(self, kind: str, name: str, status: dict, *where: str) -> None:
        patch = json.dumps({"status": status})
        self.plane.kubectl(
            "patch", kind, name, *where, "--subresource=status", "--type=merge", "-p", patch
        )

    def run(self, *arguments: str, kubeconfig: Path | None = None, **more: str) -> Result:
        chosen = str(kubeconfig or self.plane.kubeconfig)
        return CliRunner(env={"KUBECONFIG": chosen}).invoke(cli, arguments, **more)


def manifests() -> list[dict]:
    labels = {"hansa.dev/institution": "hospital"}
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": OWNER, "namespace": SPACE},
        "rules": [{"apiGroups": ["hansa.dev"], "resources": ["aijobs"], "verbs": ["get"]}],
    }
    binding = role | {"kind": "RoleBinding"}
    del binding["rules"]
    group = "rbac.authorization.k8s.io"
    binding["roleRef"] = {"apiGroup": group, "kind": "Role", "name": OWNER}
    binding["subjects"] = [{"apiGroup": group, "kind": "User", "name": OWNER}]
    pool = {
        "apiVersion": "hansa.dev/v1alpha1",
        "kind": "ComputePool",
        "metadata": {"name": POOL},
        "spec": {"nodes": {"names": list(NODES)}},
    }
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE, "labels": labels}},
        role,
        binding,
        pool,
        *(node(name, *facts) for name, facts in NODES.items()),
        job("done"),
        job("new"),
    ]


@pytest.fixture(scope="module")
def league(
    control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[League]:
    control_plane.kubectl("apply", "--server-side", "--force-conflicts", "-f", ROOT / "crds")
    control_plane.kubectl(
        "wait", "--for=condition=Established", "--timeout=60s", "-f", ROOT / "crds"
    )
    made = League(control_plane, tmp_path_factory.mktemp("cli"))
    made.apply(*manifests())
    for name, (jurisdiction, _) in NODES.items():
        made.set_status("sovereignnode", name, node_status(jurisdiction))
    made.set_status("aijob", "done", JOB_STATUS, "-n", SPACE)
    yield made
    control_plane.kubectl("delete", "namespace", SPACE, "--wait=false")
    control_plane.kubectl("delete", "computepool", POOL)
    control_plane.kubectl("delete", "sovereignnode", *NODES)


@pytest.fixture(scope="module")
def owner(league: League) -> Path:
    return league.plane.kubeconfig_for(OWNER)


def line(result: Result, word: str) -> str:
    return next(row for row in result.output.splitlines() if row.lstrip().startswith(word))


def test_explain_asks_the_planner_where_it_may(league: League) -> None:
    result = league.run("explain", "new", "-n", SPACE)
    assert result.exit_code == 0, result.output
    assert "ResidencyDenied" in line(result, "cli-lisbon")
    assert "widen residency.location" in line(result, "cli-lisbon")
    assert "Pending" in line(result, "cli-riga")
    assert "is a hub running?" in result.output


def test_explain_shows_an_owner_what_the_job_says(league: League, owner: Path) -> None:
    result = league.run("explain", "done", "-n", SPACE, kubeconfig=owner)
    assert result.exit_code == 0, result.output
    assert "stands in PT" in line(result, "cli-lisbon")
    assert "you may not list nodes and pools" in result.output


def test_what_if_plans_in_memory_only(league: League) -> None:
    before = league.plane.kubectl("get", "aijob", "-A", "-o", "json")
    added = job("tried")
    result = league.run("what-if", "-f", "-", "--without-node", "cli-riga", input=yaml.dump(added))
    assert result.exit_code == 0, result.output
    assert "starts at cli-tartu" in line(result, f"{SPACE}/tried ")
    assert "ResidencyDenied" in line(result, "cli-lisbon")
    assert league.plane.kubectl("get", "aijob", "-A", "-o", "json") == before


def test_what_if_says_which_rights_it_needs(league: League, owner: Path) -> None:
    result = league.run("what-if", "--without-node", "x", kubeconfig=owner)
    assert isinstance(result.exception, HansaError)
    assert "needs to list sovereignnodes" in str(result.exception)


def test_logs_shows_what_was_exported(league: League, owner: Path) -> None:
    result = league.run("logs", "done", "-n", SPACE, kubeconfig=owner)
    assert result.output == "epoch 1\naccuracy 0.97\n"


def test_a_job_that_is_not_there(league: League) -> None:
    result = league.run("explain", "nothing", "-n", SPACE)
    assert isinstance(result.exception, HansaError)
    assert '"nothing" not found' in sentence(result.exception)


def test_status_on_one_screen(league: League) -> None:
    result = league.run("status")
    assert result.exit_code == 0, result.output
    assert "0/2" in line(result, "cli-tartu")
    assert line(result, POOL)
    assert "Succeeded" in result.output


def test_status_tells_an_owner_what_is_hidden(league: League, owner: Path) -> None:
    result = league.run("status", kubeconfig=owner)
    assert result.exit_code == 0, result.output
    assert "Nodes: you may not list them." in result.output


def test_nodes_forbidden_is_a_sentence_with_a_way_out(league: League, owner: Path) -> None:
    result = league.run("nodes", kubeconfig=owner)
    assert isinstance(result.exception, HansaError)
    text = sentence(result.exception)
    assert "sovereignnodes" in text
    assert text.endswith("ask the platform team for that right, or choose another --context")


def test_data_sets_and_gpus(league: League) -> None:
    assert "cli-tartu" in line(league.run("nodes", "--datasets"), "cli-scans")
    assert "nvidia-t4" in line(league.run("top"), "cli-riga-uni")


def test_accept_pins_a_key_and_keeps_it(league: League) -> None:
    def pinned() -> str:
        path = "jsonpath={.spec.accepted} {.spec.keyFingerprint}"
        return league.plane.kubectl("get", "sovereignnode", "cli-tartu", "-o", path)

    assert league.run("accept", "cli-tartu", "--fingerprint", PRINT_A).exit_code == 0
    assert pinned() == f"Accepted {PRINT_A}"
    other = league.run("accept", "cli-tartu", "--fingerprint", PRINT_B)
    assert f"is pinned to {PRINT_A}" in str(other.exception)
    assert pinned() == f"Accepted {PRINT_A}"
    assert league.run("accept", "cli-tartu", "--fingerprint", PRINT_B, "--replace").exit_code == 0
    assert pinned() == f"Accepted {PRINT_B}"


def test_the_public_key_of_a_secret(league: League) -> None:
    signer = Ed25519Signer.generate()
    data = {
        "note": base64.b64encode(b"not a key").decode(),
        "ed25519.pem": base64.b64encode(signer.private_pem()).decode(),
    }
    metadata = {"name": "hub-key", "namespace": SPACE}
    league.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data})
    assert league.run("hub-key", f"secret/{SPACE}/hub-key").stdout.strip() == signer.public_key


def test_doctor_finds_a_hub_well(league: League) -> None:
    result = league.run("doctor", "--side", "hub")
    assert result.exit_code == 0, result.output
    assert "served" in line(result, "AIJob")


def test_doctor_shows_an_owner_what_is_missing(league: League, owner: Path) -> None:
    result = league.run("doctor", "--side", "hub", kubeconfig=owner)
    assert result.exit_code == 1
    assert "BAD" in line(result, "may create aijobs")


def test_doctor_looks_at_a_member(league: League) -> None:
    result = league.run("doctor", "--side", "member")
    assert "served" in line(result, "MemberPolicy")
    assert "yes" in line(result, "may create rayjobs")
    assert line(result, "KubeRay")


class TestRelease:
    """An institution whose cluster is gone signs by hand what its agent cannot sign any more."""

    NODE = "cli-lisbon"
    NAME = f"{UID}-e3"

    @pytest.fixture
    def key(self, league: League, tmp_path: Path) -> Iterator[Path]:
        signer = Ed25519Signer.generate()
        space = f"hansa-node-{self.NODE}"
        spec = GRANT_SPEC | {"node": self.NODE, "epoch": 3}
        grant = {
            "apiVersion": "hansa.dev/v1alpha1",
            "kind": "WorkGrant",
            "metadata": {
                "name": self.NAME,
                "labels": {"hansa.dev/job-namespace": SPACE, "hansa.dev/job-name": "lost"},
                "namespace": space,
            },
            "spec": spec,
        }
        league.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space}}, grant)
        league.set_status("sovereignnode", self.NODE, {"releaseKey": signer.public_key})
        path = tmp_path / "release.key"
        path.write_bytes(signer.private_pem())
        yield path
        league.plane.kubectl("delete", "workgrant", self.NAME, "-n", space)

    def grant(self, league: League) -> dict:
        where = ("-n", f"hansa-node-{self.NODE}", "-o", "json")
        return json.loads(league.plane.kubectl("get", "workgrant", self.NAME, *where))

    def test_the_hub_believes_it(self, league: League, key: Path) -> None:
        result = league.run("release", self.NODE, "--key", str(key), "--yes")

        assert result.exit_code == 0, result.output
        grant = parse_grant(self.grant(league))
        told = json.loads(league.plane.kubectl("get", "snode", self.NODE, "-o", "json"))["status"]
        assert release_holds(
            grant.status.release.model_dump(by_alias=True),
            node=self.NODE,
            job_uid=grant.job_uid,
            epoch=3,
            public_key=told["releaseKey"],
        )
        again = league.run("release", self.NODE, "--key", str(key), "--yes")
        assert "holds none" in again.output

    def test_nothing_is_written_without_a_yes(self, league: League, key: Path) -> None:
        before = self.grant(league)
        result = league.run("release", self.NODE, "--key", str(key), input="n\n")
        assert result.exit_code == 1
        assert "may run twice" in result.output
        assert self.grant(league) == before

    def test_another_key_is_refused(self, league: League, key: Path) -> None:
        key.write_bytes(Ed25519Signer.generate().private_pem())
        result = league.run("release", self.NODE, "--key", str(key), "--yes")
        assert "not the release key" in str(result.exception)

    def test_a_job_that_is_not_there_is_named(self, league: League, key: Path) -> None:
        result = league.run("release", self.NODE, "--key", str(key), "--job", "a/b", "--yes")
        assert "holds no a/b" in str(result.exception)
