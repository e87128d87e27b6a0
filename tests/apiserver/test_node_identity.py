"""A node's identity on the hub: its own namespace and nothing else, proved verb by verb."""

import asyncio
import base64
import itertools

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from hansa.adapters.kube.client import KubeCluster
from hansa.adapters.kube.config import Connection, from_kubeconfig
from hansa.api.kinds import SOVEREIGNNODE, WORKGRANT
from hansa.errors import Terminal
from hansa.planning.csr import read_subject
from tests.apiserver.league import CLOCK, b64

pytestmark = pytest.mark.apiserver

VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")
RESOURCES = (
    ("", "pods", ""),
    ("", "pods", "exec"),
    ("", "secrets", ""),
    ("", "configmaps", ""),
    ("", "events", ""),
    ("", "services", ""),
    ("", "serviceaccounts", ""),
    ("", "serviceaccounts", "token"),
    ("events.k8s.io", "events", ""),
    ("coordination.k8s.io", "leases", ""),
    ("rbac.authorization.k8s.io", "roles", ""),
    ("rbac.authorization.k8s.io", "rolebindings", ""),
    ("apps", "deployments", ""),
    ("hansa.dev", "workgrants", ""),
    ("hansa.dev", "workgrants", "status"),
    ("hansa.dev", "aijobs", ""),
    ("hansa.dev", "aijobs", "status"),
)
OWN = {
    ("hansa.dev", "workgrants", ""): {"get", "list", "watch"},
    ("hansa.dev", "workgrants", "status"): {"get", "patch", "update"},
    ("coordination.k8s.io", "leases", ""): {"get", "create", "update", "patch"},
    ("", "events", ""): {"create"},
    ("events.k8s.io", "events", ""): {"create"},
}
FOREIGN = ("hansa-node-other", "clinic", "default", "kube-system")
CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"


@pytest.fixture
async def node(league, hub):
    await hub.ready()
    async with league.node("self") as member, league.node("other"):
        yield member


async def allowed(cluster, namespace, verb, resource) -> bool:
    group, plural, sub = resource
    asked = {
        "namespace": namespace,
        "verb": verb,
        "group": group,
        "resource": plural,
        "subresource": sub,
    }
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": asked},
    }
    answer = await cluster.create("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
    return bool(answer["status"]["allowed"])


async def test_every_verb_on_every_resource(node):
    cases = [
        (space, verb, resource)
        for space in (node.space, *FOREIGN)
        for verb, resource in itertools.product(VERBS, RESOURCES)
    ]
    answers = await asyncio.gather(*(allowed(node.hub, *case) for case in cases))

    granted = {case for case, answer in zip(cases, answers, strict=True) if answer}
    own = {(node.space, verb, resource) for resource, verbs in OWN.items() for verb in verbs}
    assert len(cases) == 5 * len(VERBS) * len(RESOURCES)
    assert granted == own


REQUESTS = {
    "read another node's grants": ("list", WORKGRANT.path("hansa-node-other")),
    "read all grants": ("list", WORKGRANT.path()),
    "read all jobs": ("list", "/apis/hansa.dev/v1alpha1/aijobs"),
    "read all nodes": ("list", SOVEREIGNNODE.path()),
    "read another node": ("get", SOVEREIGNNODE.path(name="other")),
    "read secrets": ("list", "/api/v1/secrets"),
    "read requests of others": ("list", CSRS),
    "accept itself": ("merge", SOVEREIGNNODE.path(name="self")),
    "speak for another": ("merge", SOVEREIGNNODE.path(name="other") + "/status"),
    "change its own grants": ("merge", WORKGRANT.path("hansa-node-self", "x-e1")),
    "beat for another": (
        "merge",
        "/apis/coordination.k8s.io/v1/namespaces/hansa-node-other/leases/hansa-node",
    ),
    "take the hub's lease": (
        "merge",
        "/apis/coordination.k8s.io/v1/namespaces/default/leases/hansa-hub",
    ),
    "give itself more rights": (
        "merge",
        "/apis/rbac.authorization.k8s.io/v1/clusterroles/hansa-node-self",
    ),
    "approve its own request": ("merge", f"{CSRS}/x/approval"),
}


@pytest.mark.parametrize("case", REQUESTS)
async def test_what_a_node_must_not_do_answers_403(node, case):
    verb, path = REQUESTS[case]
    arguments = ({"spec": {}},) if verb == "merge" else ()

    with pytest.raises(Terminal) as refused:
        await getattr(node.hub, verb)(path, *arguments)

    assert refused.value.status == 403


async def test_a_rejected_node_loses_its_rights(league, node):
    await league.admin.merge(SOVEREIGNNODE.path(name="self"), {"spec": {"accepted": "Rejected"}})

    async def shut_out() -> bool:
        try:
            await node.hub.list(WORKGRANT.path(node.space))
        except Terminal as error:
            return error.status == 403
        return False

    await league.sees(shut_out, bool, "the rejected node is shut out")
    await league.admin.merge(SOVEREIGNNODE.path(name="self"), {"spec": {"accepted": "Accepted"}})
    await league.eventually(lambda: node.hub.list(WORKGRANT.path(node.space)))


def request_for(name: str, key=None):
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "hansa:nodes"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"hansa:node:{name}"),
        ]
    )
    csr = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return key, b64(csr.public_bytes(serialization.Encoding.PEM))


def csr_manifest(name: str, request: str):
    return {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"name": name},
        "spec": {
            "request": request,
            "signerName": "kubernetes.io/kube-apiserver-client",
            "usages": ["client auth"],
        },
    }


async def join_identity(league) -> KubeCluster:
    """The join service account with what the chart gives it: asking for certificates."""
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "hansa-join"}}
    where = "/api/v1/namespaces/default/serviceaccounts"
    await league.admin.apply(f"{where}/hansa-join", account, manager="test")
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    rules = [
        {
            "apiGroups": ["certificates.k8s.io"],
            "resources": ["certificatesigningrequests"],
            "verbs": ["create", "get"],
        }
    ]
    meta = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": "hansa-join"}}
    await league.admin.apply(
        f"{rbac}/clusterroles/hansa-join",
        meta | {"kind": "ClusterRole", "rules": rules},
        manager="test",
    )
    binding = {
        "kind": "ClusterRoleBinding",
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": "hansa-join",
        },
        "subjects": [{"kind": "ServiceAccount", "name": "hansa-join", "namespace": "default"}],
    }
    await league.admin.apply(
        f"{rbac}/clusterrolebindings/hansa-join", meta | binding, manager="test"
    )
    token = await league.admin.create(
        f"{where}/hansa-join/token",
        {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}},
    )
    admin = from_kubeconfig(league.plane.kubeconfig)
    connection = Connection(
        server=admin.server,
        ca_file=admin.ca_file,
        ca_pem=admin.ca_pem,
        token=token["status"]["token"],
    )
    return KubeCluster(connection, clock=CLOCK)


async def test_joining_and_renewing(league, hub):
    await hub.ready()
    key, request = request_for("newcomer")
    subject = read_subject(request)
    assert subject is not None
    spec = {
        "institution": "newcomer",
        "jurisdiction": "EE",
        "legalControl": ["EE"],
        "keyFingerprint": subject.fingerprint,
    }
    async with await join_identity(league) as joiner:
        await joiner.create(CSRS, csr_manifest("newcomer-1", request))
        await joiner.create(CSRS, csr_manifest("thief-1", request_for("newcomer")[1]))
        node = {
            "apiVersion": "hansa.dev/v1alpha1",
            "kind": "SovereignNode",
            "metadata": {"name": "newcomer"},
            "spec": spec | {"accepted": "Accepted"},
        }
        await league.admin.create(SOVEREIGNNODE.path(), node)
        signed = await league.sees(
            lambda: joiner.get(f"{CSRS}/newcomer-1"),
            lambda csr: csr["status"].get("certificate"),
            "the request is signed",
        )
        thief = await league.sees(
            lambda: joiner.get(f"{CSRS}/thief-1"),
            lambda csr: csr["status"].get("conditions"),
            "the thief's request is decided",
        )
    assert thief["status"]["conditions"][0]["type"] == "Denied"
    assert thief["status"]["conditions"][0]["reason"] == "WrongKey"

    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
    admin = from_kubeconfig(league.plane.kubeconfig)
    certificate = base64.b64decode(signed["status"]["certificate"]).decode()
    me = Connection(
        server=admin.server,
        ca_file=admin.ca_file,
        ca_pem=admin.ca_pem,
        certificate_pem=certificate,
        key_pem=pem,
    )
    async with KubeCluster(me, clock=CLOCK) as newcomer:
        await league.eventually(lambda: newcomer.get(SOVEREIGNNODE.path(name="newcomer")))
        await newcomer.create(CSRS, csr_manifest("newcomer-2", request_for("newcomer")[1]))
        await newcomer.create(CSRS, csr_manifest("grab-1", request_for("other")[1]))
        renewed = await league.sees(
            lambda: newcomer.get(f"{CSRS}/newcomer-2"),
            lambda csr: csr["status"].get("certificate"),
            "the renewal is signed",
        )
        grabbed = await league.sees(
            lambda: newcomer.get(f"{CSRS}/grab-1"),
            lambda csr: csr["status"].get("conditions"),
            "another node's name is refused",
        )
    assert renewed["status"]["conditions"][0]["reason"] == "Renewal"
    assert grabbed["status"]["conditions"][0]["reason"] == "WrongRequester"
    await league.admin.delete(SOVEREIGNNODE.path(name="newcomer"))
