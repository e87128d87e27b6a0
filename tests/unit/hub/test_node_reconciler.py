"""A node's rights: what is half taken away is given whole again."""

from __future__ import annotations

from hansa.reconcile.hub.actions import EnsureNodeAccess, RevokeNodeAccess
from tests.unit.hub import kit


async def test_rights_of_which_half_are_gone_are_not_there(clock):
    store = kit.Store(clock)
    hub = kit.led(store, clock)
    await hub.executor.run([EnsureNodeAccess("tartu")])
    assert "tartu" in hub.caches.access

    store.trouble = "lost"
    outcome = await hub.executor.run([RevokeNodeAccess("tartu")])

    assert not outcome.ok
    assert "tartu" not in hub.caches.access  # accepted again, the node is given them all
