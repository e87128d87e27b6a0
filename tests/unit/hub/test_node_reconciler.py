"""A node's rights: given when the league accepts it, gone when it does not; never half."""

from __future__ import annotations

import pytest

from hansa.reconcile.hub.actions import EnsureNodeAccess, RevokeNodeAccess
from hansa.reconcile.hub.node_access import access_paths, namespace_of
from tests.unit.hub import kit


async def test_rights_of_which_half_are_gone_are_not_there(clock):
    store = kit.Store(clock)
    hub = kit.led(store, clock)
    await hub.executor.run([EnsureNodeAccess("tartu")])
    assert hub.caches.access["tartu"]

    store.trouble = "lost"
    outcome = await hub.executor.run([RevokeNodeAccess("tartu")])

    assert not outcome.ok
    assert "tartu" not in hub.caches.access  # accepted again, the node is given them all


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


def test_what_is_done_is_not_done_again_until_there_is_another_leader(clock):
    store = kit.Store(clock)
    kit.node(store, "tartu", accepted="Pending")
    hub = kit.led(store, clock)
    hub.upkeep()

    assert hub.controller.derive(kit.ObjectKey("node", "tartu")) == ()

    hub.step_down()
    hub.lead()
    assert RevokeNodeAccess("tartu") in hub.controller.derive(kit.ObjectKey("node", "tartu"))


def test_a_node_removed_while_no_hub_ran_loses_its_rights(clock):
    store = kit.Store(clock)
    kit.namespace(store, namespace_of("gone"))
    hub = kit.led(store, clock)

    assert kit.ObjectKey("node", "gone") in hub.queue.lanes[1]
    assert hub.controller.derive(kit.ObjectKey("node", "gone")) == (RevokeNodeAccess("gone"),)


def has_rights(store):
    present = [path in store.access for path in access_paths("tartu")]
    assert len(set(present)) == 1
    return present[0]
