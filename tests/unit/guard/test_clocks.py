"""The guard's passes under clocks that jump: its own, its API server's, and the agent's."""

from __future__ import annotations

from dataclasses import replace

from hansa.guard.guard import Guard
from hansa.guard.settings import GuardSettings
from hansa.reconcile.member.contracts.time_limits import terms
from hansa.reconcile.member.ray.rayjob import RayJob
from tests.unit.guard.cluster_kit import HOUR, NODE, NOW, MemoryCluster, up

SETTINGS = GuardSettings(node=NODE, answer_seconds=0.02)


async def passes(
    guard: Guard, cluster: MemoryCluster, clock, ahead_s: float, count: int = 4
) -> None:
    """Let some pass, with an agent whose clock is the API server's."""
    for _ in range(count):
        clock.pass_(5)
        cluster.contact(clock.now() + ahead_s)
        await guard.make_pass()


async def test_a_clock_of_ours_that_runs_ahead_alone_ends_nothing(cluster, clock):
    ahead_s = 0.0
    guard = Guard(
        SETTINGS, cluster, workloads=(RayJob(),), clock=clock, server_skew=lambda: -ahead_s
    )
    await guard.make_pass()
    ahead_s, clock.wall = 4000.0, clock.wall + 4000
    await passes(guard, cluster, clock, -ahead_s)
    assert cluster.runs == {"a", "b"}


async def test_clocks_that_ran_ahead_together_end_no_run_that_begins_when_they_are_right(
    guard, cluster, clock
):
    await guard.make_pass()
    clock.wall += 4000
    await guard.make_pass()
    await passes(guard, cluster, clock, 0)
    clock.wall -= 4000
    await passes(guard, cluster, clock, 0)
    cluster.run("c", until_s=clock.now() + 600)
    await passes(guard, cluster, clock, 0, count=30)
    assert "c" in cluster.runs


async def test_clocks_set_back_together_lengthen_no_contract(guard, cluster, clock):
    """The hub is away; so they are where guard and API server are on one machine."""
    agreed = terms(replace(HOUR, granted_s=NOW - 20))
    cluster.run("a", age_s=20, until_s=NOW + 99_999, annotations=agreed)
    cluster.rayjob("a", jobStatus="RUNNING", rayClusterStatus=up(NOW))
    await guard.make_pass()
    for number in range(360):
        clock.pass_(10)
        clock.wall -= 7200 if number == 10 else 0
        await guard.make_pass()
        assert ("a" in cluster.runs) == (clock.steady < HOUR.unattended_limit_s)
