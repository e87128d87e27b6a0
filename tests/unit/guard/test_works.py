"""What the guard knows of the work in runs: when its command began, and what it does where nobody can read it."""

from __future__ import annotations

import pytest

from hansa.errors import Terminal
from hansa.guard.guard import Guard
from hansa.guard.reading import LONGEST_LOOKS, MOST_AT_ONCE
from hansa.model.times import rfc3339
from hansa.reconcile.member.end_reasons import EndReason
from hansa.reconcile.member.ray.rayjob import RayJob
from tests.unit.guard.cluster_kit import HANGS, NOW, up
from tests.unit.guard.conftest import SETTINGS

ALIVE = "/api/v1/namespaces/a/configmaps/alive"


async def test_pods_that_are_up_and_a_command_that_never_begins(guard, cluster, clock):
    """The agent is dead, and nobody but the guard counts. Of the other run nothing was made."""
    cluster.run("a", age_s=0, until_s=NOW + 9999)
    cluster.rayjob("a", rayClusterStatus=up(NOW))
    for _ in range(2):
        await guard.make_pass()
        clock.pass_(960)
        cluster.contact(clock.now())
        assert "a" in cluster.runs
    await guard.make_pass()
    assert cluster.runs == set()
    assert guard.stops == {EndReason.NEVER_STARTED: 2}


@pytest.mark.parametrize("is_new", [False, True], ids=["the same guard", "another guard"])
async def test_a_head_that_is_killed_after_its_command_has_begun(cluster, clock, is_new):
    def made():
        return Guard(SETTINGS, cluster, workloads=(RayJob(),), clock=clock, server_skew=lambda: 0.0)

    guard = made()
    cluster.run("a", age_s=0, until_s=NOW + 9999)
    cluster.rayjob("a", jobStatus="RUNNING", rayClusterStatus=up(NOW))
    await guard.make_pass()
    assert cluster.objects[ALIVE]["data"]["begun"] == rfc3339(NOW)

    cluster.rayjob("a", jobStatus="PENDING", rayClusterStatus=up(NOW))
    clock.pass_(2000)
    cluster.contact(clock.now())
    await (made() if is_new else guard).make_pass()
    assert "a" in cluster.runs
    assert cluster.objects[ALIVE]["data"]["begun"] == rfc3339(NOW)


async def test_a_start_that_cannot_be_noted_keeps_no_other(guard, cluster):
    for name in ("a", "b"):
        cluster.rayjob(name, jobStatus="RUNNING", rayClusterStatus=up(NOW))
    cluster.faults["merge", ALIVE] = Terminal("refused")
    await guard.make_pass()
    assert "begun" in cluster.objects["/api/v1/namespaces/b/configmaps/alive"]["data"]
    assert cluster.runs == {"a", "b"}


async def test_starts_are_noted_in_the_order_of_the_runs(guard, cluster):
    """Not in that of a set of tasks, which is their addresses': a simulated seed is to replay anywhere."""
    names = [f"run-{number}" for number in range(30)]
    for name in names:
        cluster.run(name, age_s=0, until_s=NOW + 9999)
        cluster.rayjob(name, jobStatus="RUNNING", rayClusterStatus=up(NOW))
    await guard.make_pass()
    merged = [path.split("/")[4] for verb, path in cluster.calls if verb == "merge"]
    assert [name for name in merged if name in names] == names


@pytest.fixture
def hanging(cluster):
    """A hundred runs whose RayJobs nobody can read: whatever answers for that kind of object hangs."""
    for number in range(100):
        cluster.run(f"run-{number}", age_s=1000, until_s=NOW + 60)
        path = f"/apis/ray.io/v1/namespaces/run-{number}/rayjobs/run-{number}"
        cluster.faults["get", path] = HANGS
    return cluster


async def test_what_is_alone_ends_though_no_work_can_be_read(guard, hanging, clock):
    clock.pass_(3600)
    await guard.make_pass()
    assert hanging.runs == set()
    assert not [path for _, path in hanging.calls if "rayjobs" in path]


async def test_what_may_live_is_told_though_no_work_can_be_read(guard, hanging):
    """And a pass takes no longer for a hundred than for a few: it is cut off after a minute."""
    await guard.make_pass()
    asked = [path for _, path in hanging.calls if "/rayjobs/run-" in path]
    assert len(asked) <= (LONGEST_LOOKS + 1) * MOST_AT_ONCE
    assert {hanging.until(f"run-{number}") for number in range(100)} == {NOW - 10 + 3570}
