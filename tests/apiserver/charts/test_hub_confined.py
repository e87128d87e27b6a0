"""A hub that was taken over, on a real API server: what it is refused, and that its own work passes."""

from __future__ import annotations

import base64

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from e2e.testbed.cluster.controlplane import KubectlError
from hansa.api.meta import node_user
from tests.apiserver.charts.charted import HUB, SYSTEM, Charted, bare, patched, thing

pytestmark = pytest.mark.apiserver

RBAC = "rbac.authorization.k8s.io/v1"
TARTU, RIGA, OSLO = "hansa-node-tartu", "hansa-node-riga", "hansa-node-oslo"
AGENT = {"kind": "ServiceAccount", "name": "hansa-agent", "namespace": TARTU}
EVE = {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "eve"}
ITSELF = {"kind": "ServiceAccount", "name": "hansa-hub", "namespace": SYSTEM}
GRANT = bare("WorkGrant")["metadata"]["name"]
GROUP = "rbac.authorization.k8s.io"


@pytest.fixture(scope="module")
def hub(shared_hub: Charted) -> Charted:
    node = bare("SovereignNode")
    node["metadata"]["name"] = "tartu"
    shared_hub.apply(
        thing("Namespace", RIGA),
        thing("Namespace", OSLO),
        # Bindings to roles that are not there are refused for that alone.
        thing("ClusterRole", RIGA, RBAC, rules=[]),
        thing("Role", RIGA, RBAC, space=RIGA, rules=[]),
        thing("Role", "default", RBAC, space="default", rules=[]),
        thing("ServiceAccount", "hansa-agent", space=RIGA),
        thing("ServiceAccount", "hansa-agent", space="default"),
        bare("ComputePool"),
        node,
        bare("AIJob", "hospital"),
        bare("WorkGrant", TARTU),
    )
    return shared_hub


def rule(group: str, resource: str, *verbs: str, names: tuple[str, ...] = ()) -> dict:
    named = {"resourceNames": list(names)} if names else {}
    return {"apiGroups": [group], "resources": [resource], "verbs": list(verbs)} | named


def binding(name: str, role: str, *subjects: dict, kind: str = "", space: str = "") -> dict:
    what = "RoleBinding" if space else "ClusterRoleBinding"
    ref = {"apiGroup": GROUP, "kind": kind or what.removesuffix("Binding"), "name": role}
    return thing(what, name, RBAC, space=space, roleRef=ref, subjects=list(subjects))


def role(*rules: dict, name: str = OSLO, space: str = OSLO, **fields: object) -> dict:
    return thing("Role", name, RBAC, space=space, rules=list(rules), **fields)


def cluster_role(*rules: dict, name: str = OSLO, **fields: object) -> dict:
    return thing("ClusterRole", name, RBAC, rules=list(rules), **fields)


EARLIER = "hansa.dev/grant"
"""Finalizer that earlier hubs put on jobs."""
OWN_NODE = rule("hansa.dev", "sovereignnodes", "get", names=("oslo",))
MADE = {
    # bindings
    "a node's role for somebody": binding(RIGA, RIGA, EVE),
    "a node's role for itself": binding(RIGA, RIGA, ITSELF),
    "a node's role for everybody": binding(
        RIGA, RIGA, {"kind": "Group", "apiGroup": GROUP, "name": "system:authenticated"}
    ),
    "a node's role for its account and another": binding(TARTU, TARTU, AGENT, EVE, space=TARTU),
    "another node's role": binding(RIGA, TARTU, AGENT),
    "a role for another node's account": binding(RIGA, RIGA, AGENT, space=RIGA),
    "a role for nobody yet": binding(RIGA, RIGA, space=RIGA),
    "its own role": binding(RIGA, "hansa-hub", AGENT),
    "its own role in a namespace": binding(
        RIGA, "hansa-hub", {**AGENT, "namespace": RIGA}, kind="ClusterRole", space=RIGA
    ),
    "the administrators' role": binding(RIGA, "cluster-admin", ITSELF),
    "a binding of another name": binding("hansa-node-x", RIGA, AGENT, space=RIGA),
    "a binding elsewhere": binding("default", "default", AGENT, space="default"),
    # roles
    "a role that writes grants": role(rule("hansa.dev", "workgrants", "create")),
    "a role that changes grants": role(rule("hansa.dev", "workgrants", "patch")),
    "a role that reads jobs": role(rule("hansa.dev", "aijobs", "list")),
    "a role that makes roles": role(rule(GROUP, "roles", "create")),
    "a role for all verbs": role(rule("hansa.dev", "workgrants", "*")),
    "a role for all resources": role(rule("hansa.dev", "*", "get")),
    "a role for all tokens": role(rule("", "serviceaccounts/token", "create")),
    "a role for another's tokens": role(
        rule("", "serviceaccounts/token", "create", names=("default",))
    ),
    "a role of another name": role(rule("", "events", "create"), name="hansa-node-x"),
    "a role elsewhere": role(rule("", "events", "create"), name="default", space="default"),
    "a role for all nodes": cluster_role(rule("hansa.dev", "sovereignnodes", "get")),
    "a role for another node": cluster_role(
        rule("hansa.dev", "sovereignnodes/status", "patch", names=("tartu",))
    ),
    "a role for jobs everywhere": cluster_role(rule("hansa.dev", "aijobs", "list")),
    "a role for paths": cluster_role({"nonResourceURLs": ["/metrics"], "verbs": ["get"]}),
    "a role that gathers others": cluster_role(
        OWN_NODE, aggregationRule={"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]}
    ),
    "a role for all": cluster_role(OWN_NODE, name="elsewhere"),
    # what else it makes
    "a namespace that is no node's": thing("Namespace", "elsewhere"),
    "an account of another name": thing("ServiceAccount", "other", space=TARTU),
    "an account elsewhere": thing("ServiceAccount", "hansa-agent", space="hospital"),
    "a quota of another name": thing("ResourceQuota", "other", space=TARTU, spec={}),
    "a quota elsewhere": thing("ResourceQuota", "hospital", space="hospital", spec={}),
    "a grant outside a node's namespace": bare("WorkGrant", "default"),
    "a lease of somebody else": thing(
        "Lease", "elsewhere", "coordination.k8s.io/v1", space="default", spec={}
    ),
    "another lease beside its own": thing(
        "Lease", "hansa-contact-tartu", "coordination.k8s.io/v1", space=SYSTEM, spec={}
    ),
    "a lease that is only called alike": thing(
        "Lease", "hansa-hubs", "coordination.k8s.io/v1", space=SYSTEM, spec={}
    ),
    "a node's heartbeat": thing(
        "Lease", "hansa-node", "coordination.k8s.io/v1", space=TARTU, spec={}
    ),
    "a job": bare("AIJob", "hospital"),
    "a pool": bare("ComputePool"),
    "a node": bare("SovereignNode"),
    "a pod": thing("Pod", "p", space=TARTU, spec={"containers": [{"name": "a", "image": "a"}]}),
    "a secret": thing("Secret", "s", space=TARTU),
    "a token in a secret": thing(
        "Secret", "s", space=TARTU, type="kubernetes.io/service-account-token"
    ),
    "a request for a certificate": thing(
        "CertificateSigningRequest",
        "c",
        "certificates.k8s.io/v1",
        spec={"request": "AAAA", "signerName": "hansa.dev/node", "usages": ["client auth"]},
    ),
}
REFUSED = r"forbidden|hansa-hub-(confined|bindings|roles|clusterroles|jobs)"


@pytest.mark.parametrize("manifest", MADE.values(), ids=MADE)
def test_a_hub_that_was_taken_over_does_not_make(hub: Charted, manifest: dict):
    with pytest.raises(KubectlError, match=REFUSED):
        hub.create(manifest, user=HUB)


CHANGED = {
    "what a job runs": ("aijob/study", "hospital", {"spec": {"entrypoint": ["sh"]}}),
    "a job's priority": ("aijob/study", "hospital", {"spec": {"priority": 9}}),
    "whether a job is held back": ("aijob/study", "hospital", {"spec": {"suspend": True}}),
    "a job's labels": ("aijob/study", "hospital", {"metadata": {"labels": {"a": "b"}}}),
    "a job's annotations": ("aijob/study", "hospital", {"metadata": {"annotations": {"a": "b"}}}),
    "a job's owner": (
        "aijob/study",
        "hospital",
        {
            "metadata": {
                "ownerReferences": [
                    {"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "b"}
                ]
            }
        },
    ),
    "who holds a job": ("aijob/study", "hospital", {"metadata": {"finalizers": ["a.dev/b"]}}),
    "that a job hangs": ("aijob/study", "hospital", {"metadata": {"finalizers": [EARLIER]}}),
    "whether a node is accepted": ("sovereignnode/tartu", "", {"spec": {"accepted": "Accepted"}}),
    "a node's keys": ("sovereignnode/tartu", "", {"spec": {"identityKey": "Aw" + "A" * 42}}),
    "a pool": ("computepool/league", "", {"spec": {"nodes": {}}}),
    "whom a namespace belongs to": (
        f"namespace/{TARTU}",
        "",
        {"metadata": {"labels": {"hansa.dev/institution": "clinic"}}},
    ),
    "the labels of the system's namespace": (
        "namespace/kube-system",
        "",
        {"metadata": {"labels": {"a": "b"}}},
    ),
    "its own rights": (
        "clusterrole/hansa-hub",
        "",
        {"rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]},
    ),
    "what it is refused": (
        "validatingadmissionpolicy/hansa-hub-jobs",
        "",
        {"spec": {"failurePolicy": "Ignore"}},
    ),
    "that it is refused": (
        "validatingadmissionpolicybinding/hansa-hub-jobs",
        "",
        {"spec": {"validationActions": ["Audit"]}},
    ),
}


@pytest.mark.parametrize("case", CHANGED)
def test_a_hub_that_was_taken_over_does_not_change(hub: Charted, case: str):
    what, space, patch = CHANGED[case]

    with pytest.raises(KubectlError, match=rf"(?i){REFUSED}|only the platform team"):
        patched(hub, what, patch, space=space)


def test_nor_what_a_member_said_of_a_grant(hub: Charted):
    said = {"status": {"acceptedAt": "2026-01-01T00:00:00Z"}}

    with pytest.raises(KubectlError, match="a grant's status is the member's word"):
        patched(hub, f"workgrant/{GRANT}", said, "--subresource=status", space=TARTU)


DELETED = {
    "a job": ("aijob/study", "hospital"),
    "a pool": ("computepool/league", ""),
    "a node": ("sovereignnode/tartu", ""),
    "a node's namespace": (f"namespace/{TARTU}", ""),
    "a role elsewhere": ("clusterrole/view", ""),
    "an account elsewhere": ("serviceaccount/hansa-agent", "default"),
    "a policy": ("validatingadmissionpolicybinding/hansa-hub-confined", ""),
}


@pytest.mark.parametrize("case", DELETED)
def test_a_hub_that_was_taken_over_does_not_delete(hub: Charted, case: str):
    what, space = DELETED[case]
    where = ("-n", space) if space else ()

    with pytest.raises(KubectlError, match=rf"(?i){REFUSED}"):
        hub.kubectl("delete", what, *where, "--wait=false", user=HUB)


TOKENS = {
    "of an account elsewhere": ("hansa-agent", "default", (), "tokens of nodes only"),
    "of another account of a node": ("default", TARTU, (), "forbidden"),
    "of the hub itself": ("hansa-hub", SYSTEM, (), "forbidden"),
    "of a controller": ("namespace-controller", "kube-system", (), "forbidden"),
    "that lasts": ("hansa-agent", TARTU, ("--duration=48h",), "a day at most"),
}


@pytest.mark.parametrize("case", TOKENS)
def test_a_hub_that_was_taken_over_makes_no_token(hub: Charted, case: str):
    account, space, more, why = TOKENS[case]

    with pytest.raises(KubectlError, match=why):
        hub.kubectl("create", "token", account, "-n", space, *more, user=HUB)


NODES_TOKENS = {
    "of another node": ("hansa-agent", RIGA, (), "forbidden"),
    "of another account": ("default", TARTU, (), "forbidden"),
    "for ever": ("hansa-agent", TARTU, ("--duration=10000h",), "90 days"),
}


@pytest.mark.parametrize("case", NODES_TOKENS)
def test_a_node_makes_no_token_but_its_own(hub: Charted, case: str):
    account, space, more, why = NODES_TOKENS[case]

    with pytest.raises(KubectlError, match=why):
        hub.kubectl("create", "token", account, "-n", space, *more, user=node_user("tartu"))


def test_a_node_renews_its_own_token(hub: Charted):
    token = ("create", "token", "hansa-agent", "-n", TARTU, "--duration=720h")

    assert hub.kubectl(*token, user=node_user("tartu")).count(".") == 2


CERTIFIED = {
    "approval": {"conditions": [{"type": "Approved", "status": "True", "reason": "a"}]},
    "status": {"certificate": "AAAA"},
}


@pytest.mark.parametrize("signer", ["kubernetes.io/kube-apiserver-client", "hansa.dev/node"])
@pytest.mark.parametrize("part", CERTIFIED)
def test_it_certifies_nobody(hub: Charted, signer: str, part: str):
    name = f"asked-{signer.replace('/', '.')}-{part}"
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, "system:kube-controller-manager"),
        ]
    )
    made = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    request = base64.b64encode(made.public_bytes(serialization.Encoding.PEM)).decode()
    spec = {"request": request, "signerName": signer, "usages": ["client auth"]}
    asked = thing("CertificateSigningRequest", name, "certificates.k8s.io/v1", spec=spec)
    hub.create(asked, dry=False)

    with pytest.raises(KubectlError, match=r"(?i)forbidden"):
        patched(hub, f"csr/{name}", {"status": CERTIFIED[part]}, f"--subresource={part}")


def test_the_hubs_own_work_passes(hub: Charted):
    """What else it does, the fixture has done: all that it makes for a node."""
    leases = [
        thing("Lease", name, "coordination.k8s.io/v1", space=SYSTEM, spec={})
        for name in ("hansa-hub", "hansa-hub.north")
    ]
    mark = {"metadata": {"finalizers": [EARLIER]}}
    second = bare("WorkGrant", TARTU, epoch=2)
    second["metadata"]["name"] = second["metadata"]["name"].removesuffix("-e1") + "-e2"

    assert all("created" in hub.create(lease, user=HUB, dry=False) for lease in leases)
    assert "patched" in patched(hub, "aijob/study", mark, space="hospital", user="")
    assert "patched" in patched(
        hub, "aijob/study", {"metadata": {"finalizers": None}}, space="hospital"
    )
    for what, space in (("aijob/study", "hospital"), ("computepool/league", "")):
        told = {"status": {"observedGeneration": 1}}
        assert "patched" in patched(hub, what, told, "--subresource=status", space=space)
    sealed = {"key": "Ag" + "A" * 42, "sealed": "AAAA", "notAfter": "2026-01-01T00:00:00Z"}
    told = {"status": {"identity": sealed}}
    assert "patched" in patched(hub, "sovereignnode/tartu", told, "--subresource=status")
    assert "created" in hub.create(second, user=HUB, dry=False)
    cancelled = {"spec": {"cancel": "Stop"}}
    name = f"workgrant/{second['metadata']['name']}"
    assert "patched" in patched(hub, name, cancelled, space=TARTU)
    assert "deleted" in hub.kubectl("delete", name, "-n", TARTU, user=HUB)
    token = ("create", "token", "hansa-agent", "-n", TARTU, "--duration=24h")
    assert hub.kubectl(*token, user=HUB).count(".") == 2


def test_it_takes_a_nodes_rights_away(hub: Charted):
    for what, space in (
        (f"clusterrolebinding/{TARTU}", ""),
        (f"clusterrole/{TARTU}", ""),
        (f"rolebinding/{TARTU}", TARTU),
        (f"role/{TARTU}", TARTU),
        ("serviceaccount/hansa-agent", TARTU),
    ):
        where = ("-n", space) if space else ()
        assert "deleted" in hub.kubectl("delete", what, *where, user=HUB)
