"""Leadership by a Lease, step by step: over a store with versions, and clocks that the test moves."""

from __future__ import annotations

import time

import pytest

from hansa.adapters.clock import SystemClock
from hansa.adapters.kube.lease import Candidate, LeaseElection, LeaseTimes
from hansa.errors import Conflict, NotFound, Retryable

LEASES = "/apis/coordination.k8s.io/v1/namespaces/hansa/leases"


class Clock:
    """A wall clock and a monotonic one, which need not agree."""

    def __init__(self):
        self.wall_s, self.passed_s = 1_800_000_000.0, 100.0

    def now(self):
        return self.wall_s

    def monotonic(self):
        return self.passed_s


class Server:
    """Keeps one Lease; a write that names another version than it has is a conflict."""

    def __init__(self):
        self.lease, self.version, self.writes = None, 0, []
        self.before_write = self.before_answer = lambda: None

    async def get(self, path):
        assert path == f"{LEASES}/hub"
        if self.lease is None:
            raise NotFound(path)
        meta = {"name": "hub", "resourceVersion": str(self.version)}
        return {"metadata": meta, "spec": dict(self.lease)}

    async def create(self, path, body):
        assert path == LEASES
        self.before_write()
        if self.lease is not None:
            raise Conflict(path)
        return self._store(body["spec"])

    async def merge(self, path, body):
        assert path == f"{LEASES}/hub"
        self.before_write()
        wanted = body.get("metadata", {}).get("resourceVersion")
        if wanted is not None and wanted != str(self.version):
            raise Conflict(path)
        return self._store({**self.lease, **body["spec"]})

    def steal(self):
        """Another candidate renews or takes it."""
        self.lease = {"holderIdentity": "thief", "leaseDurationSeconds": 15}
        self.version += 1

    def _store(self, spec):
        self.lease = spec
        self.version += 1
        self.writes.append(spec)
        self.before_answer()
        return {"metadata": {"resourceVersion": str(self.version)}, "spec": spec}


@pytest.fixture
def server():
    return Server()


@pytest.fixture
def clock():
    return Clock()


def candidate(server, clock, name, *, duration_s=15.0, **more):
    return LeaseElection(
        server,
        "hub",
        Candidate("hansa", name),
        clock=clock,
        times=LeaseTimes(duration_s),
        **more,
    )


async def test_a_free_lease_is_taken_and_kept_by_renewing(server, clock):
    told = []
    first = candidate(server, clock, "first", on_change=told.append)
    for _ in range(20):
        await first._try_once()
        first._announce()
        assert first.still_leader()
        clock.passed_s += 2

    assert told == [True]
    assert server.lease["holderIdentity"] == "first"
    assert server.lease["leaseTransitions"] == 0


@pytest.mark.parametrize("duration_s", [2.0, 2.9, 15.0, 15.9])
async def test_a_leader_stops_before_another_may_begin(server, clock, duration_s):
    """The slowest case: the server stored the renewal the moment it was asked."""
    first = candidate(server, clock, "first", duration_s=duration_s)
    second = candidate(server, clock, "second", duration_s=duration_s)
    await first._try_once()
    await second._try_once()
    led = []
    for _ in range(200):
        clock.passed_s += 0.1
        led.append((first.still_leader(), second.still_leader()))
        await second._try_once()

    assert (True, True) not in led
    assert led[-1] == (False, True)
    handover = [pair for pair in led if pair == (False, False)]
    assert handover, "a while in which nobody leads"


async def test_time_spent_in_a_request_counts_against_the_lease(server, clock):
    def slow():
        clock.passed_s += 13

    first = candidate(server, clock, "first")
    server.before_answer = slow
    await first._try_once()

    assert not first.still_leader()


async def test_the_wall_clock_makes_no_leader(server, clock):
    first, second = candidate(server, clock, "first"), candidate(server, clock, "second")
    await first._try_once()
    await second._try_once()
    clock.wall_s += 1e6
    await second._try_once()

    assert (first.still_leader(), second.still_leader()) == (True, False)


async def test_a_renewal_that_another_overtook_is_a_conflict_and_no_leadership(server, clock):
    first = candidate(server, clock, "first")
    await first._try_once()
    clock.passed_s += 14
    server.before_write = server.steal
    await first._try_once()

    assert server.lease["holderIdentity"] == "thief"
    assert not first.still_leader()


async def test_a_lease_taken_over_is_taken_under_its_version_too(server, clock):
    server.steal()
    first = candidate(server, clock, "first")
    await first._try_once()
    clock.passed_s += 16
    server.before_write = server.steal
    await first._try_once()

    assert server.lease["holderIdentity"] == "thief"
    assert not first.still_leader()


async def test_giving_up_takes_nothing_from_who_leads_now(server, clock):
    first = candidate(server, clock, "first")
    await first._try_once()
    server.before_write = server.steal
    await first.give_up()

    assert server.lease["holderIdentity"] == "thief"


async def test_two_that_create_it_at_once_do_not_both_lead(server, clock):
    first = candidate(server, clock, "first")
    server.before_write = server.steal
    await first._try_once()

    assert not first.still_leader()


async def test_a_server_that_does_not_answer_lets_leadership_run_out(server, clock):
    first = candidate(server, clock, "first")
    await first._try_once()

    async def gone(_path):
        raise Retryable("gone")

    server.get = gone
    for _ in range(7):
        clock.passed_s += 2
        await first._try_once()

    assert not first.still_leader()
    assert "gone" in first.trouble


async def test_an_unfit_leader_stops_at_once_and_leaves_the_lease_to_another(server, clock):
    why = [""]
    first = candidate(server, clock, "first", unfit=lambda: why[0])
    second = candidate(server, clock, "second")
    await first._try_once()
    assert first.still_leader()

    why[0] = "its clock is wrong"
    assert not first.still_leader()
    await first._try_once()
    assert first.trouble == "its clock is wrong"
    await second._try_once()
    assert second.still_leader()

    why[0] = ""
    await first._try_once()
    assert not first.still_leader(), "the other leads"


async def test_an_unfit_candidate_takes_no_free_lease(server, clock):
    first = candidate(server, clock, "first", unfit=lambda: "its clock is wrong")
    await first._try_once()

    assert server.writes == []


def test_the_machines_clock_goes_on_while_it_sleeps(monkeypatch):
    shown = {time.CLOCK_MONOTONIC: 100.0, time.CLOCK_BOOTTIME: 3700.0}
    monkeypatch.setattr(time, "clock_gettime", shown.__getitem__)

    assert SystemClock().monotonic() == 3700
