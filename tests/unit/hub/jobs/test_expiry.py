"""A finished job is deleted when its owner said so, and never before its node let go of it."""

from __future__ import annotations

import pytest

from tests.unit.hub import kit
from tests.unit.hub.jobs.ended_jobs import STUDY, ended, look, one_node


@pytest.fixture
def store(clock):
    return one_node(clock)


# Kind of end, ttl, whether it was released, seconds later; whether the job is still there.
CASES = {
    "its time is over": ("Succeeded", 600, True, 601, False),
    "failed, and its time is over": ("Failed", 600, True, 601, False),
    "not yet": ("Succeeded", 600, True, 500, True),
    "at once": ("Succeeded", 0, True, 3, False),
    "not released": ("Succeeded", 600, False, 1800, True),
    "kept": ("Succeeded", None, True, 10**8, True),
}


@pytest.mark.parametrize("case", CASES)
def test_when_a_finished_job_goes(store, clock, case):
    kind, ttl_s, release, later_s, stays = CASES[case]
    spec = {} if ttl_s is None else {"ttlSecondsAfterFinished": ttl_s}
    hub = ended(store, clock, release=release, kind=kind, **spec)

    look(hub, later_s)

    assert (STUDY in store.objects) is stays
    if release:
        assert kit.grants(store) == {}


def test_a_hub_that_begins_anew_deletes_what_is_due(store, clock):
    ended(store, clock, release=True, ttlSecondsAfterFinished=600)
    clock.now_s += 601

    look(kit.led(store, clock))

    assert STUDY not in store.objects


def test_a_job_that_has_not_ended_stays(store, clock):
    kit.submit(store, "study", **kit.gpus(1), ttlSecondsAfterFinished=0)
    hub = kit.led(store, clock)
    for _ in range(5):
        look(hub, 3600)
    assert STUDY in store.objects
