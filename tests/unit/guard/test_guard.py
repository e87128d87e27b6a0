"""The guard's passes over an API server in memory: what fails, hangs or makes no sense stops nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from e2e.testbed.host.clock import PATIENCE_S
from hansa.errors import Conflict, Retryable, Terminal
from hansa.guard.guard import Guard
from hansa.guard.settings import GuardSettings
from hansa.reconcile.member.end_reasons import EndReason
from hansa.reconcile.member.ray.rayjob import RayJob
from tests.unit.guard.cluster_kit import (
    HANGS,
    LEASE,
    NODE,
    NOW,
    POLICY,
    MemoryCluster,
    up,
)

RUNS = "/api/v1/namespaces"
FILE = f"{RUNS}/{{}}/configmaps/alive"
SETTINGS = GuardSettings(node=NODE, answer_seconds=0.02)


async def test_what_may_go_on_goes_on(guard: Guard, cluster: MemoryCluster):
    await guard.make_pass()
    assert cluster.runs == {"a", "b"}
    assert guard.runs == 2


async def test_stopped_ends_all_that_is_marked_and_nothing_else(guard, cluster):
    cluster.run("theirs", labels={"hansa.dev/node": "riga"})
    cluster.run("nobodys", labels={"hansa.dev/node": "", "hansa.dev/epoch": "x"}, annotations=7)
    cluster.put(f"{RUNS}/kube-system")
    cluster.switch("Stopped")
    await guard.make_pass()
    assert cluster.runs == {"kube-system"}
    assert guard.stops == {EndReason.STOPPED: 4}


@pytest.mark.parametrize("fault", [Retryable("late"), Terminal("refused"), Conflict("x"), HANGS])
async def test_one_that_cannot_be_deleted_keeps_no_other(guard, cluster, fault):
    for number in range(40):
        cluster.run(f"run-{number}")
    cluster.faults["delete", f"{RUNS}/a"] = fault
    cluster.switch("Stopped")
    if fault == HANGS:
        await pass_that_hangs(guard, lambda: cluster.runs == {"a"})
    else:
        await guard.make_pass()
    assert cluster.runs == {"a"}
    cluster.faults.clear()
    await guard.make_pass()
    assert cluster.runs == set()


async def pass_that_hangs(guard: Guard, done: Callable[[], bool]) -> None:
    """Make a pass until ``done``: the real client gives up a call itself, the one in memory never does."""
    task = asyncio.create_task(guard.make_pass())
    async with asyncio.timeout(PATIENCE_S):
        while not done():  # noqa: ASYNC110  # what the guard has deleted
            await asyncio.sleep(0.01)
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


ALONE = {
    "the contact hangs": ("get", LEASE, HANGS),
    "the contact is refused": ("get", LEASE, Terminal("403")),
    "the files hang": ("get", FILE.format("a"), HANGS),
    "the files are refused": ("get", FILE.format("a"), Terminal("403")),
}


@pytest.mark.parametrize(("verb", "path", "fault"), ALONE.values(), ids=ALONE)
async def test_a_read_that_fails_holds_up_no_stop(guard, cluster, verb, path, fault):
    cluster.faults[verb, path] = fault
    cluster.switch("Stopped")
    await guard.make_pass()
    assert cluster.runs == set()


GONE = {
    "deleted": None,
    "not to be had": Retryable("500"),
    "forbidden": Terminal("403"),
    "hanging": HANGS,
}


@pytest.mark.parametrize("fault", GONE.values(), ids=GONE)
async def test_a_policy_that_is_gone_stops_all_after_the_grace(guard, cluster, clock, fault):
    if fault is None:
        del cluster.objects[POLICY]
    else:
        cluster.faults["get", POLICY] = fault
    await guard.make_pass()
    clock.pass_(SETTINGS.grace_seconds - 1)
    await guard.make_pass()
    assert cluster.runs == {"a", "b"}
    clock.pass_(1)
    await guard.make_pass()
    assert cluster.runs == set()


async def test_a_policy_that_is_back_within_the_grace_stops_nothing(guard, cluster, clock):
    held = cluster.objects.pop(POLICY)
    await guard.make_pass()
    clock.pass_(SETTINGS.grace_seconds - 1)
    cluster.objects[POLICY] = held
    await guard.make_pass()
    del cluster.objects[POLICY]
    clock.pass_(SETTINGS.grace_seconds - 1)
    await guard.make_pass()
    assert cluster.runs == {"a", "b"}


async def test_an_answer_that_is_no_policy_is_none(guard, cluster):
    """A proxy in between that says {} has not stopped all work."""
    cluster.objects[POLICY] = {}
    await guard.make_pass()
    assert cluster.runs == {"a", "b"}


async def test_without_the_policy_nobody_is_told_to_live(guard, cluster):
    del cluster.objects[POLICY]
    cluster.run("a", until_s=NOW + 60)
    await guard.make_pass()
    assert cluster.until("a") == NOW + 60


async def test_an_api_server_that_is_away_is_no_policy_that_is_gone(guard, cluster, clock):
    cluster.faults["list", RUNS] = cluster.faults["get", POLICY] = Retryable("away")
    await guard.make_pass()
    clock.pass_(3600)
    cluster.faults.clear()
    cluster.contact(clock.now())
    cluster.run("a", until_s=clock.now() + 60)
    cluster.rayjob("a", jobStatus="RUNNING", rayClusterStatus=up(NOW))
    await guard.make_pass()
    assert "a" in cluster.runs


async def test_a_contract_ends_on_time(guard, cluster, clock):
    cluster.run("a", until_s=NOW + 9999)
    cluster.rayjob("a", jobStatus="RUNNING", rayClusterStatus=up(NOW))
    await guard.make_pass()
    clock.pass_(3574)
    await guard.make_pass()
    assert "a" in cluster.runs
    clock.pass_(1)
    await guard.make_pass()
    assert cluster.runs == set()
    assert guard.stops[EndReason.UNATTENDED] == 2


CLOCKS = {
    "stood still": lambda clock: setattr(clock, "wall", NOW),
    "was set back": lambda clock: setattr(clock, "wall", NOW - 7200),
}


@pytest.mark.parametrize("fault", CLOCKS.values(), ids=CLOCKS)
async def test_a_wall_clock_that_is_wrong_lengthens_no_contract(guard, cluster, clock, fault):
    cluster.run("a", until_s=NOW + 9999)
    await guard.make_pass()
    clock.pass_(3586)
    fault(clock)
    await guard.make_pass()
    assert "a" not in cluster.runs


async def test_the_api_servers_clock_counts_where_it_says_more(cluster, clock):
    """This machine's clock is an hour slow, and the guard has only just begun."""
    cluster.run("a", until_s=NOW + 9999)
    guard = Guard(SETTINGS, cluster, workloads=(RayJob(),), clock=clock, server_skew=lambda: 3600.0)
    await guard.make_pass()
    assert cluster.runs == set()


async def test_a_contact_never_seen_has_run_out_after_the_grace(guard, cluster, clock):
    del cluster.objects[LEASE]
    await guard.make_pass()
    assert cluster.runs == {"a", "b"}
    clock.pass_(SETTINGS.grace_seconds)
    await guard.make_pass()
    assert cluster.runs == set()


async def test_a_contact_to_come_is_none(guard, cluster, clock):
    cluster.contact(NOW + SETTINGS.clock_skew_seconds + 1)
    await guard.make_pass()
    clock.pass_(SETTINGS.grace_seconds - 1)
    cluster.contact(NOW + 86_400)
    await guard.make_pass()
    assert cluster.runs == {"a", "b"}
    clock.pass_(1)
    await guard.make_pass()
    assert cluster.runs == set()


async def test_a_contact_that_vanishes_goes_on_ageing(guard, cluster, clock):
    cluster.run("a", until_s=NOW + 9999)
    cluster.rayjob("a", jobStatus="RUNNING", rayClusterStatus=up(NOW))
    await guard.make_pass()
    del cluster.objects[LEASE]
    clock.pass_(3574)
    await guard.make_pass()
    assert "a" in cluster.runs
    clock.pass_(1)
    await guard.make_pass()
    assert "a" not in cluster.runs


async def test_pods_are_told_that_they_may_live(guard, cluster, clock):
    cluster.run("a", until_s=NOW + 60)
    await guard.make_pass()
    assert cluster.until("a") == NOW - 10 + 3570
    cluster.calls.clear()
    clock.pass_(289)
    cluster.contact(clock.now())
    await guard.make_pass()
    assert not [path for verb, path in cluster.calls if verb == "merge" and "/a/" in path]
    clock.pass_(1)
    cluster.contact(clock.now())
    await guard.make_pass()
    assert cluster.until("a") == NOW + 290 + 3570


async def test_a_file_that_cannot_be_written_keeps_no_other(guard, cluster):
    for name in ("a", "b"):
        cluster.run(name, until_s=NOW + 60)
    cluster.faults["merge", f"{RUNS}/a/configmaps/alive"] = Terminal("refused")
    await guard.make_pass()
    assert cluster.until("b") == NOW - 10 + 3570


async def test_what_others_call_alike_is_not_read(guard, cluster):
    """Any tenant may make ConfigMaps of that name, a megabyte each: a list of all would end guard and runs."""
    cluster.run("a", until_s=NOW + 60)
    cluster.put(f"{RUNS}/tenant")
    cluster.put(FILE.format("tenant"), metadata={"namespace": "tenant"}, data={"until": "1 0"})
    await guard.make_pass()
    assert cluster.until("a") == NOW - 10 + 3570
    read = {path for verb, path in cluster.calls if verb != "merge" and "configmaps" in path}
    assert read == {FILE.format(name) for name in ("a", "b")}


async def test_a_file_that_is_not_there_yet_keeps_no_other(guard, cluster):
    cluster.run("a", until_s=NOW + 60)
    cluster.run("new", until_s=None)
    await guard.make_pass()
    assert cluster.until("a") == NOW - 10 + 3570
    assert cluster.runs == {"a", "b", "new"}


async def test_what_ran_out_once_does_not_live_again(guard, cluster):
    """Agent and guard were both away; the hub is back and may have given the job away meanwhile."""
    cluster.run("a", until_s=NOW - 1)
    await guard.make_pass()
    assert cluster.runs == {"b"}


async def test_a_file_that_says_nothing_is_over(guard, cluster):
    cluster.run("a")
    cluster.objects[f"{RUNS}/a/configmaps/alive"]["data"] = {"until": "for ever"}
    await guard.make_pass()
    assert cluster.runs == {"b"}


async def test_a_run_that_ran_too_long_ends(guard, cluster):
    cluster.run("a", age_s=9000)
    cluster.rayjob("a", rayClusterStatus=up(NOW - 7262))
    await guard.make_pass()
    assert guard.stops == {EndReason.DEADLINE_EXCEEDED: 1}


async def test_a_start_that_is_known_is_not_asked_for_again(guard, cluster):
    cluster.run("a", age_s=9000)
    cluster.rayjob("a", jobStatus="RUNNING", rayClusterStatus=up(NOW - 100))
    for _ in range(3):
        await guard.make_pass()
    assert [path for verb, path in cluster.calls if "/a/rayjobs" in path] == [
        "/apis/ray.io/v1/namespaces/a/rayjobs/a"
    ]
    assert cluster.runs == {"a", "b"}


BAD_RAYJOBS = {
    "hangs": HANGS,
    "cannot be read": Retryable("500"),
    "makes no sense": None,
}


@pytest.mark.parametrize("fault", BAD_RAYJOBS.values(), ids=BAD_RAYJOBS)
async def test_an_unreadable_rayjob_ends_nothing_before_its_time(guard, cluster, fault):
    path = "/apis/ray.io/v1/namespaces/a/rayjobs/a"
    cluster.run("a", age_s=8000)
    cluster.put(path, status={"rayClusterStatus": {"conditions": [1]}})
    if fault is not None:
        cluster.faults["get", path] = fault
    await guard.make_pass()
    assert cluster.runs == {"a", "b"}
    cluster.run("a", age_s=8161)
    cluster.run("b", age_s=8161)
    cluster.rayjob("b", jobStatus="RUNNING", rayClusterStatus=up(NOW - 100))
    await guard.make_pass()
    assert cluster.runs == {"b"}


async def test_two_replicas_do_no_more_than_one(guard, cluster, clock):
    other = Guard(SETTINGS, cluster, workloads=(RayJob(),), clock=clock, server_skew=lambda: None)
    cluster.run("a", until_s=NOW + 60)
    await guard.make_pass()
    cluster.calls.clear()
    await other.make_pass()
    assert not [call for call in cluster.calls if call[0] in ("merge", "delete")]


async def test_it_says_since_when_it_does_not_see(guard, cluster, clock):
    clock.pass_(10)
    await guard.make_pass()
    assert guard.seen_s == 10
    cluster.faults["get", POLICY] = Retryable("away")
    clock.pass_(10)
    await guard.make_pass()
    assert guard.seen_s == 10
