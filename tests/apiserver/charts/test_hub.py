"""The hub's chart on a real API server: what each party may do, and what nobody may."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from functools import partial

import pytest

from e2e.testbed.build.binaries import Binaries
from e2e.testbed.cluster.controlplane import KubectlError
from e2e.testbed.host.clock import wait_until
from hansa.api.generate.admission import FROZEN_WHEN_PLACED, SIGNED_FIELDS
from hansa.api.meta import node_user
from hansa.reconcile.hub.job_view import trimmed_job
from tests.apiserver.charts.charted import (
    HUB,
    SYSTEM,
    Act,
    Charted,
    bare,
    hub_installed,
    pods_of,
    policies,
    thing,
)
from tests.apiserver.crds.bases import BASES
from tests.apiserver.crds.cases import OTHER_GRANT, OTHER_JOB

pytestmark = pytest.mark.apiserver

JOIN = f"system:serviceaccount:{SYSTEM}:hansa-join"
NODE = node_user("tartu")
RBAC = "rbac.authorization.k8s.io/v1"
KEY_PATH = "jsonpath={.data.ed25519\\.pem}"


@pytest.fixture(scope="module")
def hub(binaries: Binaries) -> Iterator[Charted]:
    with hub_installed(binaries) as charted:
        yield charted


def test_the_policies_type_check(hub: Charted):
    for policy in policies(hub.plane):
        assert policy["status"]["typeChecking"] == {}, policy["metadata"]["name"]


def test_pods_are_admitted_where_pod_security_is_restricted(hub: Charted):
    for pod in pods_of(hub).values():
        assert "created" in hub.create(pod)


def test_the_signing_key_survives_an_upgrade(hub: Charted):
    secret = ("-n", SYSTEM, "get", "secret", "hansa-hub-key", "-o", KEY_PATH)
    before = hub.kubectl(*secret)

    hub.upgrade(replicas=1)

    assert b"PRIVATE KEY" in base64.b64decode(before)
    assert hub.kubectl(*secret) == before


def test_a_key_made_by_hand_is_used_as_it_is(hub: Charted):
    hub.apply(thing("Secret", "by-hand", space=SYSTEM, stringData={"ed25519.pem": "mine"}))

    shown = hub.upgrade("--dry-run=server", signingKey={"secretName": "by-hand"})

    assert "secretName: by-hand" in shown
    assert "kind: Secret" not in shown


def test_who_sees_the_league_sees_whether_its_hub_lives(hub: Charted):
    hub.kubectl("create", "clusterrolebinding", "a", "--clusterrole=hansa-league-view", "--user=a")
    look = partial(hub.lets, "get", "leases", "-A", "--field-selector=metadata.name=hansa-hub")
    wait_until(partial(look, user="a"), what="the role of a")
    assert not look(user="b")


HUB_MAY = {
    "list jobs": ("list", "aijobs.hansa.dev"),
    "take finalizers off jobs": ("patch", "aijobs.hansa.dev"),
    "report on jobs": ("patch", "aijobs.hansa.dev/status"),
    "report on pools": ("patch", "computepools.hansa.dev/status"),
    "report on nodes": ("patch", "sovereignnodes.hansa.dev/status"),
    "write grants": ("create", "workgrants.hansa.dev"),
    "withdraw grants": ("delete", "workgrants.hansa.dev"),
    "watch heartbeats": ("watch", "leases.coordination.k8s.io"),
    "lead": ("update", "leases.coordination.k8s.io"),
    "tell events": ("create", "events.events.k8s.io"),
    "revoke access": ("delete", "clusterroles.rbac.authorization.k8s.io"),
}
HUB_MAY_NOT = {
    "read secrets": ("get", "secrets"),
    "make pods": ("create", "pods"),
    "make jobs": ("create", "aijobs.hansa.dev"),
    "accept nodes": ("patch", "sovereignnodes.hansa.dev"),
    "change pools": ("update", "computepools.hansa.dev"),
    "hand out more than it has": ("escalate", "clusterroles.rbac.authorization.k8s.io"),
    "bind more than it has": ("bind", "clusterroles.rbac.authorization.k8s.io"),
    "be somebody else": ("impersonate", "users"),
    "delete namespaces": ("delete", "namespaces"),
    "sign certificates": ("update", "certificatesigningrequests.certificates.k8s.io/status"),
    "approve certificates": ("update", "certificatesigningrequests.certificates.k8s.io/approval"),
    "ask for certificates": ("create", "certificatesigningrequests.certificates.k8s.io"),
    "stand for a signer": ("approve", "signers.certificates.k8s.io"),
    "make accounts of any name": ("create", "serviceaccounts"),
    "make tokens of any account": ("create", "serviceaccounts/token"),
    "change admission": ("update", "validatingadmissionpolicies.admissionregistration.k8s.io"),
}


@pytest.mark.parametrize("acts", [HUB_MAY, HUB_MAY_NOT], ids=["may", "may not"])
def test_what_the_hub_may(hub: Charted, acts: dict[str, tuple[str, str]]):
    allowed = hub.may_all(HUB, [Act(verb, resource) for verb, resource in acts.values()])

    assert dict(zip(acts, allowed, strict=True)) == dict.fromkeys(acts, acts is HUB_MAY)


def test_joining_reads_nodes_by_name_and_nothing_else(hub: Charted):
    nodes = "sovereignnodes.hansa.dev"

    assert hub.may(JOIN, "get", nodes)
    for verb, resource in (
        ("list", nodes),
        ("watch", nodes),
        ("patch", f"{nodes}/status"),
        ("create", "certificatesigningrequests.certificates.k8s.io"),
        ("get", "secrets"),
        ("create", "serviceaccounts/token"),
    ):
        assert not hub.may(JOIN, verb, resource, namespace=SYSTEM)


VERBS = ("get", "list", "watch", "create", "update", "patch", "delete")
RESOURCES = (
    "workgrants.hansa.dev",
    "workgrants.hansa.dev/status",
    "aijobs.hansa.dev",
    "leases.coordination.k8s.io",
    "events",
    "secrets",
    "configmaps",
    "pods",
)


def test_a_node_reaches_its_own_namespace_only(hub: Charted):
    reached = {
        space: _reached(hub, space)
        for space in ("hansa-node-tartu", "hansa-node-riga", SYSTEM, "hospital")
    }

    own = reached.pop("hansa-node-tartu")
    assert ("watch", "workgrants.hansa.dev") in own
    assert ("patch", "workgrants.hansa.dev/status") in own
    assert ("create", "workgrants.hansa.dev") not in own
    assert not {resource for _, resource in own} & {
        "secrets",
        "configmaps",
        "pods",
        "aijobs.hansa.dev",
    }
    assert all(not others for others in reached.values())


def _reached(hub: Charted, namespace: str) -> set[tuple[str, str]]:
    """What the node may do in a namespace."""
    acts = [Act(verb, resource, namespace) for verb in VERBS for resource in RESOURCES]
    allowed = zip(acts, hub.may_all(NODE, acts), strict=True)
    return {(act.verb, act.resource) for act, is_allowed in allowed if is_allowed}


def test_only_the_platform_team_says_whom_work_is_charged_to(hub: Charted):
    for user, role in (("clerk", "clerk"), ("platform", "hansa-platform")):
        hub.apply(
            thing(
                "ClusterRole", "clerk", RBAC, rules=[_rule("namespaces", "create", "patch", "get")]
            ),
            thing(
                "ClusterRoleBinding",
                user,
                RBAC,
                roleRef={
                    "apiGroup": "rbac.authorization.k8s.io",
                    "kind": "ClusterRole",
                    "name": role,
                },
                subjects=[{"kind": "User", "name": user}],
            ),
        )
    labelled = thing("Namespace", "clinic", labels={"hansa.dev/institution": "other"})
    for user in ("clerk", "platform"):
        wait_until(partial(hub.may, user, "patch", "namespaces"), what=f"the role of {user}")

    assert hub.apply(labelled, user="platform", dry=True)
    assert hub.apply(thing("Namespace", "clinic"), user="clerk", dry=True)
    with pytest.raises(KubectlError, match="only the platform team may set it"):
        hub.apply(labelled, user="clerk", dry=True)
    with pytest.raises(KubectlError, match="only the platform team may set it"):
        hub.kubectl("label", "ns", "hospital", "hansa.dev/institution-", user="clerk")
    assert hub.kubectl("label", "ns", "hospital", "color=red", user="clerk")


def _rule(resource: str, *verbs: str) -> dict:
    return {"apiGroups": [""], "resources": [resource], "verbs": list(verbs)}


def test_a_job_needs_a_namespace_with_an_institution(hub: Charted):
    assert "created" in hub.create(bare("AIJob", "hospital"))
    with pytest.raises(KubectlError, match="belongs to no institution"):
        hub.create(bare("AIJob", "default"))


def test_whoever_edits_a_namespace_submits_jobs_there(hub: Charted):
    hub.kubectl(
        "create", "rolebinding", "owner", "-n=hospital", "--clusterrole=edit", "--user=owner"
    )

    may_submit = partial(hub.may, "owner", "create", "aijobs.hansa.dev", namespace="hospital")
    wait_until(may_submit, what="the owner's role")

    assert may_submit()
    assert not hub.may("owner", "create", "aijobs.hansa.dev", namespace="default")
    assert not hub.may("owner", "patch", "aijobs.hansa.dev/status", namespace="hospital")
    assert not hub.may("owner", "patch", "sovereignnodes.hansa.dev")


@pytest.fixture(scope="module")
def placed(hub: Charted) -> Charted:
    hub.apply(bare("AIJob", "hospital"), bare("WorkGrant", "hansa-node-tartu"))
    _patch(hub, "aijob/study", {"status": {"node": "tartu"}}, "-n=hospital", "--subresource=status")
    return hub


def _patch(hub: Charted, what: str, patch: dict, *args: str) -> str:
    return hub.kubectl("patch", what, "--type=merge", "-p", json.dumps(patch), *args)


@pytest.mark.parametrize("field", FROZEN_WHEN_PLACED)
def test_a_placed_job_holds_still(placed: Charted, field: str):
    change = {field: OTHER_JOB[field]}
    said = rf"spec\.{field} (cannot be changed while the job holds|is made by the ledger)"
    with pytest.raises(KubectlError, match=said):
        _patch(placed, "aijob/study", {"spec": change}, "-n=hospital", "--dry-run=server")


def test_a_placed_job_can_be_held_back_and_hurried(placed: Charted):
    change = {"spec": {"suspend": True, "priority": 9}}

    assert "patched" in _patch(placed, "aijob/study", change, "-n=hospital", "--dry-run=server")


def test_a_waiting_job_can_be_changed(placed: Charted):
    waiting = bare("AIJob", "hospital")
    waiting["metadata"]["name"] = "waiting"
    placed.apply(waiting)

    assert "patched" in _patch(
        placed, "aijob/waiting", {"spec": {"pool": "other"}}, "-n=hospital", "--dry-run=server"
    )


LONG = "ä" * 4096
SIZES = {
    "arguments": {"entrypoint": ["python", *[LONG] * 20]},
    "environment": {"env": [{"name": f"A{i}", "value": LONG} for i in range(20)]},
    "arguments and environment": {
        "entrypoint": ["python", *[LONG] * 7],
        "env": [{"name": f"A{i}", "value": LONG} for i in range(8)],
    },
}
METADATA = {
    "annotations": {"annotations": {"note": "x" * 120_000}},
    "labels": {"labels": {f"l{i}": "x" * 60 for i in range(1900)}},
    "owners": {
        "ownerReferences": [
            {"apiVersion": "v1", "kind": "ConfigMap", "name": f"c{i}", "uid": f"u{i}"}
            for i in range(300)
        ]
    },
}


def _sized(spec: dict, meta: dict) -> dict:
    job = bare("AIJob", "hospital", **spec)
    return job | {"metadata": job["metadata"] | {"name": "sized"} | meta}


@pytest.mark.parametrize("spec", SIZES.values(), ids=SIZES)
def test_a_job_is_no_larger_than_a_hub_reads(hub: Charted, spec: dict):
    with pytest.raises(KubectlError, match=r"aijob-size.hansa.dev.*put long input into the image"):
        hub.create(_sized(spec, {}))


@pytest.mark.parametrize("meta", METADATA.values(), ids=METADATA)
def test_nor_are_its_metadata(hub: Charted, meta: dict):
    with pytest.raises(KubectlError, match=r"aijob-size.hansa.dev.*put long input into the image"):
        hub.create(_sized({}, meta))


def test_a_long_job_is_taken(hub: Charted):
    job = _sized({"entrypoint": ["python", *["x" * 4096] * 26]}, {})

    assert "created" in hub.create(job)
    assert trimmed_job(job)["spec"] == job["spec"]


def test_a_job_that_is_too_large_already_may_be_let_go_and_not_grow(hub: Charted):
    policy = "validatingadmissionpolicybinding/aijob-size.hansa.dev"
    binding = json.loads(hub.kubectl("get", policy, "-o", "json"))
    hub.kubectl("delete", policy)
    job = _sized({"entrypoint": ["python", *[LONG] * 20]}, {"finalizers": ["hansa.dev/grant"]})
    job["metadata"]["name"] = "old"
    wait_until(lambda: _made(hub, job), what="the policy to be gone")
    del binding["metadata"]["resourceVersion"], binding["metadata"]["uid"]
    hub.apply(binding)
    wait_until(lambda: not _made(hub, _sized(SIZES["arguments"], {})), what="the policy")

    with pytest.raises(KubectlError, match="aijob-size"):
        _patch(hub, "aijob/old", {"metadata": {"annotations": {"a": "b"}}}, "-n=hospital")
    assert "patched" in _patch(hub, "aijob/old", {"metadata": {"finalizers": None}}, "-n=hospital")


def _made(hub: Charted, job: dict) -> bool:
    try:
        hub.create(job, dry=job["metadata"]["name"] != "old")
    except KubectlError:
        return False
    return True


GRANT = f"workgrant/{BASES['WorkGrant']['metadata']['name']}"


@pytest.mark.parametrize("field", SIGNED_FIELDS)
def test_a_signed_field_holds_still(placed: Charted, field: str):
    change = {"spec": {field: OTHER_GRANT[field]}}

    with pytest.raises(KubectlError, match=rf"spec.{field} is signed|metadata.name must be"):
        _patch(placed, GRANT, change, "-n=hansa-node-tartu", "--dry-run=server")


def test_a_grant_can_be_cancelled(placed: Charted):
    change = {"spec": {"cancel": "Stop"}}

    assert "patched" in _patch(placed, GRANT, change, "-n=hansa-node-tartu", "--dry-run=server")
