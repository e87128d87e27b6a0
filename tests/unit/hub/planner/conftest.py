"""A hub with one small node, for tests of when it plans."""

from __future__ import annotations

import pytest

from tests.unit.hub import kit


@pytest.fixture
def store(clock):
    store = kit.Store(clock)
    kit.node(store, "tartu", kit.lent(machines=1, each=4))
    kit.namespace(store)
    kit.pool(store)
    return store
