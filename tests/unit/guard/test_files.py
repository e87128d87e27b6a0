"""The files by which the pods of runs live: read one by one, so what one answers must be no matter of another's."""

from __future__ import annotations

import pytest

from hansa.errors import Retryable, Terminal
from hansa.guard.reading import MOST_AT_ONCE
from tests.unit.guard.cluster_kit import HANGS, NOW, up

FILE = "/api/v1/namespaces/{}/configmaps/alive"
FAULTS = {"refused": Terminal("403"), "not to be had": Retryable("500"), "hanging": HANGS}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_a_file_that_cannot_be_read_keeps_no_other(guard, cluster, fault):
    for name in ("a", "b"):
        cluster.run(name, until_s=NOW + 60)
    cluster.faults["get", FILE.format("a")] = fault
    await guard.make_pass()
    assert cluster.until("b") == NOW - 10 + 3570
    assert cluster.until("a") == NOW + 60


async def test_among_many_that_hang_each_has_its_turn(guard, cluster):
    """A server so slow that no pass reads them all, and always answers in one order."""
    for number in range(3 * MOST_AT_ONCE):
        cluster.run(f"run-{number}")
        cluster.faults["get", FILE.format(f"run-{number}")] = HANGS
    cluster.run("z", until_s=NOW + 60)
    for _ in range(3):
        await guard.make_pass()
    assert cluster.until("z") == NOW - 10 + 3570


async def test_what_must_go_whatever_its_file_says_goes_before_any_is_read(guard, cluster):
    cluster.switch("Stopped")
    await guard.make_pass()
    assert cluster.runs == set()
    assert not [path for _, path in cluster.calls if path.endswith("/alive")]


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_a_command_of_which_nobody_can_read_that_it_began_is_not_given_up(
    guard, cluster, fault
):
    cluster.run("a", age_s=2000)
    cluster.rayjob("a", rayClusterStatus=up(NOW - 1900))
    cluster.faults["get", FILE.format("a")] = fault
    await guard.make_pass()
    assert "a" in cluster.runs
