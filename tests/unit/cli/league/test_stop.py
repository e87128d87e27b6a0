"""``hansa member stop`` over an API server in memory: all it can stop it stops, the rest it tells."""

from __future__ import annotations

import pytest

from hansa.cli.league.stop import NO_POLICY, stop_all, tell
from hansa.errors import Retryable, Terminal
from tests.unit.guard.cluster_kit import POLICY, Hands, MemoryCluster

RUNS = "/api/v1/namespaces"


class Impatient(Hands):
    """A clock that takes a second a look."""

    def monotonic(self) -> float:
        self.steady += 1.0
        return self.steady


@pytest.fixture
def cluster() -> MemoryCluster:
    made = MemoryCluster()
    made.switch("Open")
    made.run("a")
    made.run("b", labels={"hansa.dev/node": "riga"}, annotations="nonsense")
    made.put(f"{RUNS}/kube-system")
    made.put(f"{RUNS}/hansa-canary", metadata={"labels": {"hansa.dev/job-uid": "canary"}})
    return made


async def stopped(cluster: MemoryCluster, timeout_s: float = 3.0):
    return await stop_all(cluster, clock=Impatient(), timeout_s=timeout_s, look_s=0)


async def test_it_sets_the_switch_and_leaves_no_run(cluster):
    outcome = await stopped(cluster)
    assert outcome.done
    assert cluster.objects[POLICY]["spec"]["switch"] == "Stopped"
    assert cluster.runs == {"kube-system", "hansa-canary"}
    assert tell(outcome) == ["switch: Stopped is set", "2 of 2 runs are gone"]


async def test_without_a_policy_nothing_starts_anew_and_none_is_invented(cluster):
    del cluster.objects[POLICY]
    outcome = await stopped(cluster)
    assert outcome.done
    assert tell(outcome)[0] == NO_POLICY
    assert POLICY not in cluster.objects


async def test_a_switch_that_cannot_be_set_keeps_no_run_going(cluster):
    cluster.faults["merge", POLICY] = Terminal("403 Forbidden")
    outcome = await stopped(cluster)
    assert not outcome.done
    assert "403 Forbidden" in tell(outcome)[0]
    assert "a" not in cluster.runs


async def test_a_run_that_is_not_deleted_keeps_no_other_going(cluster):
    cluster.faults["delete", f"{RUNS}/a"] = Terminal("denied by policy x")
    outcome = await stopped(cluster)
    assert not outcome.done
    assert outcome.left == ["a: not deleted: denied by policy x"]
    assert "b" not in cluster.runs


async def test_what_hangs_is_told_with_what_holds_it(cluster):
    cluster.put(
        f"{RUNS}/a",
        metadata={
            "labels": {"hansa.dev/job-uid": "x"},
            "deletionTimestamp": "2026-01-01T00:00:00Z",
        },
        status={"conditions": [{"status": "True", "message": "finalizers remain: kept"}]},
    )
    cluster.put(f"{RUNS}/a/pods/head", spec={"nodeName": "machine-7"})
    outcome = await stopped(cluster)
    assert not outcome.done
    assert tell(outcome)[1:] == [
        "1 of 2 runs are gone",
        "left: a: Terminating: pod head on machine-7; finalizers remain: kept",
    ]
    assert ("delete", f"{RUNS}/a") not in cluster.calls


async def test_what_is_made_meanwhile_is_stopped_too(cluster):
    """A list is old when it is read: one look is not enough."""
    listed = cluster.list

    async def late(path, **query):
        page = await listed(path, **query)
        if "late" not in cluster.runs and cluster.calls.count(("list", RUNS)) == 1:
            cluster.run("late")
        return page

    cluster.list = late
    outcome = await stopped(cluster, 9.0)
    assert outcome.done
    assert "late" not in cluster.runs
    assert "late" in outcome.runs


async def test_an_api_server_that_stutters_is_asked_again(cluster):
    cluster.faults["list", RUNS] = Retryable("429")
    listed = cluster.list

    async def better(path, **query):
        try:
            return await listed(path, **query)
        finally:
            cluster.faults.clear()

    cluster.list = better
    assert (await stopped(cluster, 9.0)).done


@pytest.mark.parametrize("error", [Retryable("429 busy"), Terminal("403 Forbidden")])
async def test_where_the_runs_cannot_be_read_the_switch_is_set_and_that_is_told(cluster, error):
    """An account that may only write the policy stops all work with it: agent and guard see to the rest."""
    cluster.faults["list", RUNS] = error
    outcome = await stopped(cluster)
    assert not outcome.done
    assert tell(outcome) == [
        "switch: Stopped is set",
        f"left: what runs there are could not be read: {error}",
    ]
