"""The command line against a real API server, as an admin and as a data owner with few rights."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from click.testing import Result

from e2e.testbed.cluster.controlplane import ControlPlane
from e2e.testbed.cluster.readiness import wait_established
from hansa.adapters.keys import Ed25519Signer
from hansa.cli.main import sentence
from hansa.errors import HansaError
from hansa.reconcile.fencing import release_holds
from hansa.reconcile.hub.grant_view import parse_grant
from hansa.reconcile.hub.snapshot import release_verified
from tests.apiserver.cli.kit import (
    JOB_STATUS,
    NODES,
    OWNER,
    POOL,
    READER,
    SPACE,
    League,
    job,
    manifests,
    node_status,
)
from tests.apiserver.crds.bases import GRANT_SPEC, UID

pytestmark = pytest.mark.apiserver

ROOT = Path(__file__).parents[3]
POINT_A, POINT_B = "Ag" + "A" * 42, "Aw" + "A" * 42
KEY_B = "B" * 42 + "A="


@pytest.fixture(scope="module")
def league(
    control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[League]:
    control_plane.kubectl("apply", "--server-side", "--force-conflicts", "-f", ROOT / "crds")
    wait_established(control_plane)
    made = League(control_plane, tmp_path_factory.mktemp("cli"))
    made.apply(*manifests())
    for name, (jurisdiction, _) in NODES.items():
        made.set_status("sovereignnode", name, node_status(jurisdiction))
    made.set_status("aijob", "done", JOB_STATUS, "-n", SPACE)
    yield made
    control_plane.kubectl("delete", "namespace", SPACE, "--wait=false")
    control_plane.kubectl("delete", "clusterrole,clusterrolebinding", READER)


@pytest.fixture(scope="module")
def owner(league: League) -> Path:
    return league.plane.kubeconfig_for(OWNER)


@pytest.fixture(scope="module")
def reader(league: League) -> Path:
    return league.plane.kubeconfig_for(READER)


def line(result: Result, word: str) -> str:
    return next(row for row in result.output.splitlines() if row.lstrip().startswith(word))


def test_explain_asks_the_planner_where_it_may(league: League) -> None:
    result = league.run("explain", "new", "-n", SPACE)
    assert result.exit_code == 0, result.output
    assert "ResidencyDenied" in line(result, "cli-lisbon")
    assert "widen residency.location" in line(result, "cli-lisbon")
    assert "Pending" in line(result, "cli-riga")
    assert "is a hub running?" in result.output
    assert "Planner: it would start now at cli-riga" in result.output
    assert "nodes ruled out: 1 by ResidencyDenied" in result.output
    assert "next best is cli-tartu at +0.400000 an hour" in result.output


def test_explain_tells_what_would_let_a_job_start(league: League) -> None:
    wide = job("wide")
    wide["spec"]["ray"]["workers"] = {"count": 2, "gpus": 2}
    league.apply(wide)
    result = league.run("explain", "wide", "-n", SPACE)
    league.plane.kubectl("delete", "aijob", "wide", "-n", SPACE)
    assert "Planner: ExceedsNodeShape" in result.output
    assert "it would start now if cli-riga had 4 nvidia-t4 GPUs more" in result.output


def test_explain_claims_no_more_than_may_be_read(league: League, reader: Path) -> None:
    """Whoever may list nodes, pools and namespaces, but not all jobs, does not know what is free."""
    result = league.run("explain", "new", "-n", SPACE, kubeconfig=reader)
    assert result.exit_code == 0, result.output
    assert "Planner: nodes ruled out: 1 by ResidencyDenied" in result.output
    assert "you may not list aijobs everywhere" in result.output
    assert "would start now at" not in result.output


def test_explain_shows_an_owner_what_the_job_says(league: League, owner: Path) -> None:
    result = league.run("explain", "done", "-n", SPACE, kubeconfig=owner)
    assert result.exit_code == 0, result.output
    assert "stands in PT" in line(result, "cli-lisbon")
    assert "you may not list sovereignnodes" in result.output


def test_what_if_plans_in_memory_only(league: League) -> None:
    before = league.plane.kubectl("get", "aijob", "-A", "-o", "json")
    added = job("tried")
    result = league.run("what-if", "-f", "-", "--without-node", "cli-riga", input=yaml.dump(added))
    assert result.exit_code == 0, result.output
    assert "starts at cli-tartu" in line(result, f"{SPACE}/tried ")
    assert "ResidencyDenied" in line(result, "cli-lisbon")
    assert league.plane.kubectl("get", "aijob", "-A", "-o", "json") == before


GONE = {
    "an operator": ("--without-operator", "cli-riga-uni", "starts at cli-tartu"),
    "a vendor": ("--without-vendor", "nvidia", "waits: NoAccelerator"),
}


@pytest.mark.parametrize(("option", "name", "outcome"), GONE.values(), ids=GONE.keys())
def test_what_if_somebody_were_gone(league: League, option: str, name: str, outcome: str) -> None:
    result = league.run("what-if", option, name)
    assert result.exit_code == 0, result.output
    assert outcome in line(result, f"{SPACE}/new ")


UNKNOWN = {
    "node": ("--without-node", "there is no node mars; there are:"),
    "operator": ("--without-operator", "there is no operator mars; there are:"),
    "vendor": ("--without-vendor", "there is no GPU vendor mars; there are: nvidia"),
}


@pytest.mark.parametrize(("option", "text"), UNKNOWN.values(), ids=UNKNOWN.keys())
def test_what_if_names_what_there_is(league: League, option: str, text: str) -> None:
    result = league.run("what-if", option, "mars")
    assert result.exit_code == 2
    assert text in " ".join(result.output.split())


def test_what_if_says_what_it_cannot_know(league: League, reader: Path) -> None:
    result = league.run("what-if", "--without-node", "cli-riga", kubeconfig=reader)
    assert result.exit_code == 0, result.output
    assert "You may not list aijobs everywhere" in result.output


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
    assert result.exit_code == 3, result.output
    assert "no hub has ever led here" in result.output
    assert "0/2" in line(result, "cli-tartu")
    assert line(result, POOL)
    assert "Succeeded" in result.output


def test_status_tells_an_owner_what_is_hidden(league: League, owner: Path) -> None:
    result = league.run("status", kubeconfig=owner)
    assert result.exit_code == 0, result.output
    assert "Nodes: you may not list them." in result.output
    assert "whether a hub works cannot be told" in result.output


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
        path = "jsonpath={.spec.accepted} {.spec.identityKey} {.spec.releaseKey}"
        return league.plane.kubectl("get", "sovereignnode", "cli-tartu", "-o", path)

    def accept(identity_key: str, key: str, *more: str):
        keys = ("--identity-key", identity_key, "--release-key", key)
        return league.run("accept", "cli-tartu", *keys, *more)

    first = pinned().split()[-1]
    assert accept(POINT_A, first).exit_code == 0
    assert pinned() == f"Accepted {POINT_A} {first}"
    assert f"is pinned to {POINT_A}" in str(accept(POINT_B, first).exception)
    assert f"is pinned to {first}" in str(accept(POINT_A, KEY_B).exception)
    assert pinned() == f"Accepted {POINT_A} {first}"
    assert accept(POINT_B, KEY_B, "--replace").exit_code == 0
    assert pinned() == f"Accepted {POINT_B} {KEY_B}"
    assert accept(POINT_B, first, "--replace").exit_code == 0


def test_the_public_key_of_a_secret(league: League) -> None:
    signer = Ed25519Signer.generate()
    data = {
        "note": base64.b64encode(b"not a key").decode(),
        "ed25519.pem": base64.b64encode(signer.private_pem()).decode(),
    }
    metadata = {"name": "hub-key", "namespace": SPACE}
    league.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data})
    assert league.run("hub-key", f"secret/{SPACE}/hub-key").stdout.strip() == signer.public_key


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

    def hold(self, league: League, node: str, **changes: str) -> str:
        """Have a node hold a job; returns the node's namespace."""
        space = f"hansa-node-{node}"
        grant = {
            "apiVersion": "hansa.dev/v1alpha1",
            "kind": "WorkGrant",
            "metadata": {
                "name": self.NAME,
                "labels": {"hansa.dev/job-namespace": SPACE, "hansa.dev/job-name": "lost"},
                "namespace": space,
            },
            "spec": GRANT_SPEC | {"node": node, "epoch": 3} | changes,
        }
        league.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space}}, grant)
        return space

    @pytest.fixture
    def key(self, league: League, tmp_path: Path) -> Iterator[Path]:
        signer = Ed25519Signer.generate()
        space = self.hold(league, self.NODE)
        pin = json.dumps({"spec": {"releaseKey": signer.public_key}})
        league.plane.kubectl("patch", "snode", self.NODE, "--type=merge", "-p", pin)
        path = tmp_path / "release.key"
        path.write_bytes(signer.private_pem())
        yield path
        league.plane.kubectl("delete", "workgrant", self.NAME, "-n", space)

    def grant(self, league: League, node: str = NODE) -> dict:
        where = ("-n", f"hansa-node-{node}", "-o", "json")
        return json.loads(league.plane.kubectl("get", "workgrant", self.NAME, *where))

    def test_the_hub_believes_it(self, league: League, key: Path) -> None:
        result = league.run("release", self.NODE, "--key", str(key), "--yes")

        assert result.exit_code == 0, result.output
        grant = parse_grant(self.grant(league))
        told = json.loads(league.plane.kubectl("get", "snode", self.NODE, "-o", "json"))["spec"]
        assert release_holds(
            grant.status.release.model_dump(by_alias=True),
            node=self.NODE,
            job_uid=grant.job_uid,
            epoch=3,
            public_key=told["releaseKey"],
        )
        again = league.run("release", self.NODE, "--key", str(key), "--yes")
        assert "holds none" in again.output

    def test_a_node_that_has_left_frees_its_jobs_by_the_key_its_grants_name(
        self, league: League, tmp_path: Path
    ) -> None:
        """It is no SovereignNode any more: nobody pins its key, and no agent of it can sign."""
        signer, node, key = Ed25519Signer.generate(), "cli-left", tmp_path / "release.key"
        self.hold(league, node, audience=signer.key_id)
        key.write_bytes(Ed25519Signer.generate().private_pem())
        refused = league.run("release", node, "--key", str(key), "--yes")
        assert "nor is anything that cli-left holds addressed to it" in str(refused.exception)
        assert not release_verified(parse_grant(self.grant(league, node)), None)

        key.write_bytes(signer.private_pem())
        result = league.run("release", node, "--key", str(key), "--yes")
        assert result.exit_code == 0, result.output
        assert release_verified(parse_grant(self.grant(league, node)), None)

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
