"""A node's rights: given when the league accepts it, gone when it does not; never half."""

from __future__ import annotations

import pytest

from hansa.adapters.sealing import IdentityKey
from hansa.api.kinds import SOVEREIGNNODE
from hansa.reconcile.hub.actions import EnsureNodeAccess, RevokeNodeAccess
from hansa.reconcile.hub.node_access import (
    KEY_ANNOTATION,
    access_paths,
    account_path,
    namespace_of,
)
from tests.unit.hub import kit

OURS, NEXT = IdentityKey.generate(), IdentityKey.generate()
KEY = OURS.public_key


async def test_rights_of_which_half_are_gone_are_not_there(clock):
    store = kit.Store(clock)
    hub = kit.led(store, clock)
    await hub.executor.run([EnsureNodeAccess("tartu", KEY)])
    assert hub.caches.access["tartu"].roles

    store.trouble = "lost"
    outcome = await hub.executor.run([RevokeNodeAccess("tartu", account=True)])

    assert not outcome.ok
    assert "tartu" not in hub.caches.access  # accepted again, the node is given them all


def _less(thing):
    thing["rules"] = thing["rules"][1:]


def _more(thing):
    thing["rules"] = [*thing["rules"], {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]


def _as_it_is(thing):
    thing["metadata"]["annotations"] = {"somebody": "else"}


CHANGED = {"a rule less": (_less, 1), "a rule more": (_more, 1), "a note": (_as_it_is, 0)}


@pytest.mark.parametrize("case", CHANGED)
async def test_a_new_leader_writes_only_the_rights_that_are_not_there(clock, case):
    change, written = CHANGED[case]
    store = kit.Store(clock)
    await kit.led(store, clock).executor.run([EnsureNodeAccess("tartu", KEY)])
    role = next(path for path in access_paths("tartu") if path.endswith("/roles/hansa-node-tartu"))
    change(store.access[role])
    before = len(store.writes)
    await kit.led(store, clock).executor.run([EnsureNodeAccess("tartu", KEY)])
    assert len(store.writes) - before == written


DECISIONS = {
    "accepted": ({"accepted": "Accepted"}, True),
    "not yet": ({"accepted": "Pending"}, False),
    "by default": ({"accepted": None}, False),
    "rejected": ({"accepted": "Rejected"}, False),
    "accepted by a spec this hub cannot read": ({"accepted": "Accepted", "prices": 7}, True),
    "rejected by a spec this hub cannot read": ({"accepted": "Rejected", "prices": 7}, False),
    "no word at all": ({"accepted": {}}, False),
}


@pytest.mark.parametrize("case", DECISIONS)
@pytest.mark.parametrize("before", ["accepted", "rejected"])
def test_the_rights_follow_the_decision(clock, before, case):
    store = kit.Store(clock)
    kit.node(store, "tartu", **DECISIONS[before][0])
    hub = kit.led(store, clock)
    hub.upkeep()
    assert has_rights(store) == (before == "accepted")

    spec, may = DECISIONS[case]
    kit.node(store, "tartu", **spec)
    hub.hear()
    hub.upkeep()

    assert has_rights(store) == may
    assert (account_path("tartu") in store.access) == keeps_account(before, spec["accepted"])


def keeps_account(before, decision):
    """Whoever is only set back to Pending goes on with the same tokens when accepted again."""
    return decision == "Accepted" or (before == "accepted" and decision != "Rejected")


def token_of(store, key):
    identity = store.objects[SOVEREIGNNODE.path(name="tartu")]["status"]["identity"]
    assert identity["key"] == key.public_key
    return key.open(identity["sealed"], node="tartu")


def test_a_token_is_sealed_to_the_pinned_key_alone_and_only_once(clock):
    store = kit.Store(clock)
    kit.node(store, "tartu", identityKey=KEY)
    hub = kit.led(store, clock)

    hub.upkeep()
    hub.hear()
    hub.upkeep()

    assert token_of(store, OURS) == "token 1 of hansa-node-tartu/hansa-agent"
    assert store.tokens == 1


def test_another_key_ends_the_tokens_of_the_one_before(clock):
    store = kit.Store(clock)
    kit.node(store, "tartu", identityKey=KEY)
    hub = kit.led(store, clock)
    hub.upkeep()
    first = store.access[account_path("tartu")]["metadata"]["uid"]

    kit.node(store, "tartu", identityKey=NEXT.public_key)
    hub.hear()
    hub.upkeep()

    account = store.access[account_path("tartu")]["metadata"]
    assert account["uid"] != first
    assert account["annotations"] == {KEY_ANNOTATION: NEXT.public_key}
    assert token_of(store, NEXT) == "token 2 of hansa-node-tartu/hansa-agent"


def test_a_node_that_is_at_work_needs_no_token_of_the_hub(clock):
    store = kit.Store(clock)
    kit.node(store, "tartu", identityKey=KEY)
    hub = kit.led(store, clock)
    for _ in range(100):
        kit.beat(store, "tartu")
        hub.hear()
        hub.upkeep()
        clock.now_s += 3600
    assert store.tokens == 1

    hub.upkeep()  # an hour without a heartbeat
    assert store.tokens == 2


def test_what_is_done_is_not_done_again_until_there_is_another_leader(clock):
    store = kit.Store(clock)
    kit.node(store, "tartu", accepted="Pending")
    hub = kit.led(store, clock)
    hub.upkeep()

    revoking = RevokeNodeAccess("tartu", account=False)
    assert revoking not in hub.controller.derive(kit.ObjectKey("node", "tartu"))

    hub.step_down()
    hub.lead()
    assert revoking in hub.controller.derive(kit.ObjectKey("node", "tartu"))


def test_a_node_removed_while_no_hub_ran_loses_its_rights(clock):
    store = kit.Store(clock)
    kit.namespace(store, namespace_of("gone"))
    hub = kit.led(store, clock)

    assert kit.ObjectKey("node", "gone") in hub.queue.lanes[1]
    assert hub.controller.derive(kit.ObjectKey("node", "gone")) == (
        RevokeNodeAccess("gone", account=True),
    )


def has_rights(store):
    present = [path in store.access for path in access_paths("tartu")]
    assert len(set(present)) == 1
    return present[0]
