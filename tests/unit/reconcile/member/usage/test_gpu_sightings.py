"""What is told of GPUs is what was seen of them since the last receipt, and no joule is told twice."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hansa.model.times import rfc3339
from hansa.reconcile.member.usage.gpu_sightings import GpuSightings

NOW_S = 1_800_000_000


def sightings(salt: bytes = b"s") -> GpuSightings:
    return GpuSightings(salt)


def look(seen: GpuSightings, at: int, **gpus: int | None) -> None:
    seen.see({"job": gpus}, lambda job: f"{job}.1", float(NOW_S + at))


def test_a_gpu_is_held_from_its_first_sight_to_its_last():
    seen = sightings()
    for at in (5, 60, 120):
        look(seen, at, a=at * 1000)
    (gpu,), joules = seen.told("job.1")
    assert (gpu.start, gpu.end, joules) == (rfc3339(NOW_S + 5), rfc3339(NOW_S + 120), 115)


def test_the_same_gpu_has_one_name_in_all_runs_and_another_at_another_member():
    names = set()
    for salt, job in ((b"s", "one"), (b"s", "two"), (b"t", "one")):
        seen = sightings(salt)
        seen.see({job: {"GPU-1": None}}, lambda job: f"{job}.1", NOW_S)
        names.add((salt, seen.told(f"{job}.1")[0][0].gpu))
    assert len(names) == 2
    assert not any("GPU-1" in name for _, name in names)


@given(st.lists(st.tuples(st.integers(0, 5_000), st.booleans(), st.booleans()), max_size=40))
def test_joules_are_told_once_whenever_receipts_come(steps: list[tuple[int, bool, bool]]):
    """Each step: so many millijoules more, a look in between telling and settling, a receipt now."""
    seen, counter, told, at = sightings(), 0, 0, 0
    look(seen, at, a=counter)
    for more, looks_between, receipt in steps:
        counter, at = counter + more, at + 1
        look(seen, at, a=counter)
        if receipt:
            told += seen.told("job.1")[1] or 0
            if looks_between:
                counter, at = counter + 700, at + 1
                look(seen, at, a=counter)
            seen.settle("job.1", over=False)
    at += 1
    look(seen, at, a=counter)
    told += seen.told("job.1")[1] or 0
    assert told == counter // 1000


def test_a_counter_that_went_back_begins_anew():
    seen = sightings()
    for at, counter in ((1, 9_000_000), (2, 9_005_000), (3, 2_000), (4, 5_000)):
        look(seen, at, a=counter)
    assert seen.told("job.1")[1] == 5 + 5


def test_one_gpu_without_a_counter_makes_the_whole_unknown():
    seen = sightings()
    look(seen, 1, a=1_000, b=None)
    look(seen, 2, a=9_000, b=None)
    held, joules = seen.told("job.1")
    assert (len(held), joules) == (2, None)


def test_a_gpu_not_seen_again_is_not_told_again():
    seen = sightings()
    look(seen, 1, a=0, b=0)
    seen.told("job.1")
    seen.settle("job.1", over=False)
    assert seen.told("job.1") == ((), None)
    look(seen, 9, b=4_000)
    (gpu,), joules = seen.told("job.1")
    assert (gpu.start, gpu.end, joules) == (rfc3339(NOW_S + 1), rfc3339(NOW_S + 9), 4)


def test_a_job_without_one_run_is_nobodys():
    seen = sightings()
    seen.see({"job": {"a": 1}}, lambda _: None, NOW_S)
    assert seen.told("job.1") == ((), None)


def test_what_is_over_is_forgotten():
    seen = sightings()
    look(seen, 1, a=0)
    seen.settle("job.1", over=True)
    assert seen.told("job.1") == ((), None)
