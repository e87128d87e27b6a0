"""A node's identity on the hub: its own namespace and nothing else, asked for in earnest."""

import base64

import pytest
from cryptography.hazmat.primitives import serialization

from hansa.adapters.kube.client import KubeCluster
from hansa.adapters.kube.config import Connection, from_kubeconfig
from hansa.api.kinds import SOVEREIGNNODE, WORKGRANT
from hansa.errors import Terminal
from hansa.reconcile.hub.csr import read_subject
from tests.apiserver.access.joining import CSRS, csr_manifest, join_identity, request_for
from tests.apiserver.access.reach import METHODS, Asker, attempts, discover, let_through
from tests.apiserver.hub.league import CLOCK

pytestmark = pytest.mark.apiserver

NOWHERE = "no-such-namespace"
OWN = {
    "hansa.dev/workgrants": {"get", "list", "watch"},
    "hansa.dev/workgrants/status": {"get", "patch", "update"},
    "coordination.k8s.io/leases": {"get", "create", "update", "patch"},
    "core/events": {"create"},
    "events.k8s.io/events": {"create"},
}
"""All that a node may do in its own namespace."""
ITSELF = {
    "hansa.dev/sovereignnodes": {"get"},
    "hansa.dev/sovereignnodes/status": {"get", "patch"},
}
"""All that a node may do with what bears its name and has no namespace."""
ANYWHERE = {
    "certificates.k8s.io/certificatesigningrequests": {"get", "create"},
    "authorization.k8s.io/selfsubjectaccessreviews": {"create"},
    "authorization.k8s.io/selfsubjectrulesreviews": {"create"},
    "authentication.k8s.io/selfsubjectreviews": {"create"},
}
"""Without a namespace, whatever the name: public keys to be signed, and questions about itself."""
NAMES = ("self", "other", "hansa-node-self", "hansa-node-other")
EVERYBODY_READS = {"/api", "/apis", "/healthz", "/livez", "/openapi", "/readyz", "/version"}
"""What Kubernetes shows to all who have any identity: that it is there, and what kinds it has."""


@pytest.fixture
async def node(league, hub):
    await hub.ready()
    async with league.node("self") as member, league.node("other"):
        yield member


def expected(asked, own):
    """Return which of the attempts the tables allow."""
    allowed = set()
    for attempt in asked:
        name, thing = attempt.resource.full_name, attempt.thing
        verbs = OWN.get(name, set()) if attempt.namespace == own else set()
        if not attempt.resource.namespaced:
            verbs = ANYWHERE.get(name, set()) | (
                ITSELF.get(name, set()) if thing == "self" else set()
            )
        if attempt.verb in verbs:
            allowed.add(attempt.key)
    return allowed


async def test_every_verb_on_every_resource_in_every_foreign_namespace_answers_403(
    league, node, record_property
):
    resources = await discover(league.admin)
    spaces = {
        row["metadata"]["name"] for row in (await league.admin.list("/api/v1/namespaces")).items
    }
    assert {"default", "kube-system", "clinic", "hansa-node-other", node.space} <= spaces
    asked = [
        *attempts([r for r in resources if r.namespaced], spaces | {NOWHERE}, ["other"]),
        *attempts([r for r in resources if not r.namespaced], (), NAMES),
    ]

    async with Asker(node.hub._connection) as asker:
        answers = await asker.all(asked)

    assert let_through(answers) == expected(asked, node.space)
    assert {attempt.verb for attempt in asked} == set(METHODS)
    refused = sum(answer.status == 403 for answer in answers.values())
    of = f"{len(answers)} ({len(resources)} resources, {len(spaces)} namespaces)"
    record_property("requests as a node that were answered 403", f"{refused} of {of}")


async def test_a_node_reads_no_other_page_and_is_nobody_else(league, node):
    pages = (await league.admin.get("/"))["paths"]
    private = {page for page in pages if not _for_everybody(page)}

    async with Asker(node.hub._connection) as asker:
        told = {page: (await asker.ask("GET", page)).status for page in private}
        posing = await asker.ask("GET", "/api/v1/secrets", **{"Impersonate-User": "admin"})

    assert "/metrics" in private
    assert len(private) > len(EVERYBODY_READS)
    assert told == dict.fromkeys(private, 403)
    assert posing.status == 403
    assert "cannot impersonate" in posing.message


def _for_everybody(page):
    return page in EVERYBODY_READS or page.startswith(("/api/", "/apis/", "/openapi/"))


@pytest.mark.parametrize("decision", ["Rejected", "Pending"])
async def test_a_node_that_is_not_accepted_any_more_loses_its_rights(league, node, decision):
    await league.admin.merge(SOVEREIGNNODE.path(name="self"), {"spec": {"accepted": decision}})

    async def shut_out() -> bool:
        try:
            await node.hub.list(WORKGRANT.path(node.space))
        except Terminal as error:
            return error.status == 403
        return False

    await league.sees(shut_out, bool, f"the {decision.lower()} node is shut out")
    await league.admin.merge(SOVEREIGNNODE.path(name="self"), {"spec": {"accepted": "Accepted"}})
    await league.eventually(lambda: node.hub.list(WORKGRANT.path(node.space)))


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
        await league.eventually(lambda: joiner.create(CSRS, csr_manifest("newcomer-1", request)))
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
