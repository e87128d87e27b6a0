"""A node's identity on the hub: its own namespace and nothing else, asked for in earnest."""

import asyncio

import pytest

from e2e.testbed.host.clock import PATIENCE_S
from hansa.adapters.kube.tokens import request_token, whoami
from hansa.api.kinds import SOVEREIGNNODE, WORKGRANT
from hansa.api.meta import API_VERSION, node_user
from hansa.errors import Terminal
from hansa.member.hub_link.join import FolderKeeper, enrol, new_identity
from hansa.member.hub_link.tokens import renewed
from tests.apiserver.access.joining import join_identity
from tests.apiserver.access.reach import METHODS, Asker, attempts, discover, let_through
from tests.apiserver.hub.league import CLOCK
from tests.apiserver.member.kit import holder_of

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
ACCOUNT = {"core/serviceaccounts/token": {"create"}}
"""With what bears its account's name there: tokens of its own."""
ITSELF = {
    "hansa.dev/sovereignnodes": {"get"},
    "hansa.dev/sovereignnodes/status": {"get", "patch"},
}
"""All that a node may do with what bears its name and has no namespace."""
ANYWHERE = {
    "authorization.k8s.io/selfsubjectaccessreviews": {"create"},
    "authorization.k8s.io/selfsubjectrulesreviews": {"create"},
    "authentication.k8s.io/selfsubjectreviews": {"create"},
    "certificates.k8s.io/clustertrustbundles": {"get", "list", "watch"},
}
"""Without a namespace, whatever the name: questions about itself, and whom everybody may trust."""
INSIDE = ("other", "hansa-agent")
NAMES = ("self", "other", "hansa-node-self", "hansa-node-other")
EVERYBODY_READS = {
    *("/api", "/apis", "/healthz", "/livez", "/openapi", "/readyz", "/version"),
    *("/.well-known/openid-configuration", "/openid/v1/jwks"),
}
"""What Kubernetes shows to all accounts: that it is there, what kinds it has, who signs tokens."""


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
        if attempt.namespace == own and thing == "hansa-agent":
            verbs = verbs | ACCOUNT.get(name, set())
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
        *attempts([r for r in resources if r.namespaced], spaces | {NOWHERE}, INSIDE),
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


async def test_joining_and_renewing(league, hub, tmp_path):
    await hub.ready()
    async with await join_identity(league) as joiner:
        fresh, thief = (new_identity("newcomer", joiner._connection) for _ in range(2))
        as_node = holder_of(joiner._connection)
        keepers = FolderKeeper(tmp_path / "newcomer"), FolderKeeper(tmp_path / "thief")
        theft = asyncio.create_task(enrol(joiner, as_node, keepers[1], thief, poll_s=0.1))
        joining = asyncio.create_task(enrol(joiner, as_node, keepers[0], fresh, poll_s=0.1))
        place = {"institution": "newcomer", "jurisdiction": "EE", "legalControl": ["EE"]}
        keys = {"identityKey": fresh.key.public_key, "releaseKey": fresh.signer.public_key}
        node = {"apiVersion": API_VERSION, "kind": "SovereignNode"}
        node |= {"metadata": {"name": "newcomer"}, "spec": place | keys | {"accepted": "Accepted"}}
        await league.admin.create(SOVEREIGNNODE.path(), node)

        held = await asyncio.wait_for(joining, PATIENCE_S)

        announced = await joiner.get(SOVEREIGNNODE.path(name="newcomer"))
        with pytest.raises(Terminal, match="not sealed to this node's key"):
            thief.key.open(announced["status"]["identity"]["sealed"], node="newcomer")
        assert not theft.done()
        theft.cancel()
        await asyncio.gather(theft, return_exceptions=True)

        async with as_node(held.token) as me:
            assert await whoami(me) == node_user("newcomer")
            more = {"node": "newcomer", "held": held.token, "seconds": 3600, "now_s": CLOCK.now()}
            renewed_once = await renewed(me, as_node, **more)
            with pytest.raises(Terminal, match="cannot create resource"):
                await request_token(me, "hansa-node-newcomer", "default", seconds=3600)

        await league.admin.merge(
            SOVEREIGNNODE.path(name="newcomer"),
            {"spec": {"identityKey": thief.key.public_key}},
        )
        async with as_node(renewed_once) as me:
            await league.sees(lambda: _is_unknown(me), bool, "the old tokens have ended")
    await league.admin.delete(SOVEREIGNNODE.path(name="newcomer"))


async def _is_unknown(cluster) -> bool:
    """Tell whether the server does not know a client at all any more."""
    try:
        await whoami(cluster)
    except Terminal as error:
        return error.status == 401
    return False
