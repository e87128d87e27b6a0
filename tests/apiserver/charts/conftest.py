"""The hub's chart on a control plane, once a worker: most of its tests leave it as they found it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from e2e.testbed.build.binaries import Binaries
from tests.apiserver.charts.charted import Charted, found_league, installed
from tests.apiserver.shared import lent


@pytest.fixture(scope="session")
def hub_of_the_worker(binaries: Binaries) -> Iterator[Charted]:
    with installed(binaries, "hansa-hub") as charted:
        yield charted


@pytest.fixture(scope="module")
def shared_hub(hub_of_the_worker: Charted) -> Iterator[Charted]:
    """The chart with its own values, an institution and a node; what a module makes of ours goes with it."""
    found_league(hub_of_the_worker)
    with lent(hub_of_the_worker.plane):
        yield hub_of_the_worker
