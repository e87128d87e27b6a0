"""What statuses tell of the past comes back after a restart, and fades."""

import pytest

from hansa.hub.planner.usage_history import UsageHistory
from hansa.model.history import expected, groups_of
from hansa.model.times import rfc3339
from hansa.reconcile.hub.job_view import Catalog
from hansa.reconcile.hub.pools import parse_pool
from hansa.reconcile.hub.usage_history import Past, with_past
from tests.unit.reconcile.hub.hub_objects import NOW_S, condition, job_view

DAY_S = 86_400
SPEC = {"institutions": [{"institution": "clinic"}], "usageHalfLifeHours": 24}
POOL = parse_pool({"metadata": {"name": "league"}, "spec": SPEC})
CATALOG = Catalog({"league": POOL}, {"clinic": "clinic"}, frozenset(), "EUR")
GPUS = {"ray": {"version": "2.60.0", "workers": {"count": 2, "gpus": 1}}}


def ended(age_s, gpu_seconds=800, wall_seconds=400):
    status = {
        "conditions": [condition("Succeeded")],
        "finishedAt": rfc3339(NOW_S - age_s),
        "usage": {"gpuSeconds": gpu_seconds, "wallSeconds": wall_seconds},
    }
    return job_view(status, **GPUS)


def victim(*ages_s):
    rows = [
        {"node": "tartu", "epoch": i + 1, "inFavourOf": "other", "at": rfc3339(NOW_S - age_s)}
        for i, age_s in enumerate(ages_s)
    ]
    return job_view({"epoch": 9, "preemptions": rows})


def past(*jobs, catalog=CATALOG, now_s=NOW_S):
    book = UsageHistory()
    for number, job in enumerate(jobs):
        book.note(str(number), job)
    return book.past(catalog, now_s)


def test_run_times_by_institution_size_and_request():
    told = past(ended(0), ended(9, wall_seconds=1600), ended(5, wall_seconds=0), job_view())

    asked = {"gpus": 2, "max_runtime_s": job_view().parsed.spec.max_runtime_seconds}
    assert set(told.history) == set(groups_of("clinic", **asked))
    times = expected(told.history, "clinic", **asked)
    assert times.count == 2
    assert times.p50_s == pytest.approx(800)


FADES = {"now": (0, 800), "a half-life ago": (DAY_S, 400), "two": (2 * DAY_S, 200)}


@pytest.mark.parametrize("name", FADES)
def test_use_fades(name):
    age_s, expected = FADES[name]

    pool = with_past(POOL.pool, past(ended(age_s)))

    assert pool.usage_half_life_s == DAY_S
    assert pool.shares[0].past_usage_gpu_s == expected


def test_a_pool_that_counts_only_the_present_sees_no_past():
    plain = parse_pool({"metadata": {"name": "league"}, "spec": {}})
    catalog = Catalog({"league": plain}, {"clinic": "clinic"}, frozenset(), "EUR")

    assert with_past(plain.pool, past(ended(0), catalog=catalog)) is plain.pool


def test_preemptions_of_the_past_hour_are_counted_for_who_caused_them():
    told = past(victim(10, 3599, 3601), victim(5))

    assert with_past(POOL.pool, told).recent_preemptions == {"other": 3}


def test_a_preemption_at_no_time_is_none():
    undated = victim(10, 20)
    undated.status["preemptions"][0]["at"] = "yesterday"

    assert with_past(POOL.pool, past(undated)).recent_preemptions == {"other": 1}


def test_a_deleted_job_is_forgotten():
    book = UsageHistory()
    book.note("a", victim(10))
    book.note("a", None)

    assert book.past(CATALOG, NOW_S) == Past()


def test_preemptions_count_at_once_and_sums_wait():
    book = UsageHistory()
    assert book.past(CATALOG, NOW_S) == Past()
    book.note("a", victim(10))
    book.note("b", ended(0))

    soon, later = book.past(CATALOG, NOW_S + 1), book.past(CATALOG, NOW_S + 31)

    assert soon.preemptions["league"] == {"other": 1}
    assert not soon.history
    assert later.history
