"""What the tests of the hub share beside the kit."""

from __future__ import annotations

import pytest

from tests.unit.hub import kit


@pytest.fixture
def clock() -> kit.Time:
    return kit.Time()


@pytest.fixture
def hub(store: kit.Store, clock: kit.Time) -> kit.HubKit:
    """A leader that has planned once, over the store that the module makes."""
    hub = kit.led(store, clock)
    hub.plan()
    return hub
