"""A guard over a member in memory, with two runs that may go on."""

from __future__ import annotations

import pytest

from hansa.guard.guard import Guard
from hansa.guard.settings import GuardSettings
from hansa.reconcile.member.ray.rayjob import RayJob
from tests.unit.guard.cluster_kit import NODE, NOW, Hands, MemoryCluster

SETTINGS = GuardSettings(node=NODE, answer_seconds=0.02)


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.fixture
def cluster() -> MemoryCluster:
    """A member with a policy, a contact ten seconds ago, and two runs."""
    made = MemoryCluster()
    made.switch("Open")
    made.contact(NOW - 10)
    made.run("a")
    made.run("b")
    return made


@pytest.fixture
def guard(cluster: MemoryCluster, clock: Hands) -> Guard:
    return Guard(SETTINGS, cluster, workloads=(RayJob(),), clock=clock, server_skew=lambda: 0.0)
