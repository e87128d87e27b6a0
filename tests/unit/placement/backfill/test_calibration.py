"""Bands are as wide as past errors were, and steered until they hold."""

from __future__ import annotations

import numpy as np
import pytest

from hansa.model.plan import Waiting
from hansa.model.reasons import Reason
from hansa.placement.backfill.calibration import MISSES, Calibration
from tests.unit.placement.leagues.small_leagues import held, job


def told(calibration: Calibration, uid: str, wait_s: int, now_s: int) -> Waiting:
    start_s = now_s + wait_s
    said = Waiting(uid, Reason.WAITING_FOR_CAPACITY, "", 0, start_s, start_s)
    return calibration.told((said,), now_s)[0]


def test_nothing_is_changed_before_something_is_known():
    said = told(Calibration(), "j", 700, 0)
    assert (said.start_p10_s, said.start_p50_s, said.start_p90_s) == (None, 700, 700)


def test_who_has_no_estimate_gets_none():
    said = Waiting("j", Reason.WAITING_FOR_CAPACITY, "")
    assert Calibration().told((said,), 5) == (said,)


NOISE = {
    "steady": lambda rng, _: rng.lognormal(0.0, 1.0),
    "a burst of long waits every two hundred": lambda rng, n: rng.lognormal(
        3.0 if n % 200 < 60 else 0.0, 1.0
    ),
    "ever slower": lambda rng, n: rng.lognormal(n / 500, 1.0),
}


@pytest.mark.parametrize("noise", NOISE.values(), ids=NOISE)
def test_the_share_of_starts_outside_the_band_is_what_was_aimed_at(noise):
    rng = np.random.default_rng(1)
    calibration, hits, bands = Calibration(), 0, 0
    for number in range(3_000):
        now_s, wait_s = number * 1_000_000, int(rng.integers(700, 3_000))
        said = told(calibration, str(number), wait_s, now_s)
        waited_s = int(wait_s * noise(rng, number))
        if said.start_p10_s is not None:
            bands += 1
            hits += said.start_p10_s <= now_s + waited_s <= said.start_p90_s
        calibration.started(str(number), now_s + waited_s)
    assert hits / bands == pytest.approx(1 - MISSES, abs=0.03)


def test_those_who_still_wait_count():
    calibration = Calibration()
    for number in range(40):
        told(calibration, str(number), 100, 0)
        if number < 20:
            calibration.started(str(number), 100)
    early = told(calibration, "early", 100, 100)
    late = told(calibration, "late", 100, 10_000)
    assert late.start_p90_s - 10_000 > (early.start_p90_s - 100) * 10


def test_an_unknown_start_and_a_job_that_leaves_teach_nothing():
    calibration = Calibration()
    calibration.started("nobody", 5)
    calibration.gone("nobody")
    for number in range(40):
        told(calibration, str(number), 100, 0)
        calibration.gone(str(number))
    assert told(calibration, "j", 100, 90).start_p10_s is None


UNSEEN = {
    "it still waits": (job("j"), None),
    "it started": (held("j", since=350), 350),
    "it started before it was told": (held("j", since=50), 100),
    "it is gone": (None, None),
}


@pytest.mark.parametrize("case", UNSEEN)
def test_who_takes_promises_over_learns_what_became_of_them_meanwhile(case):
    """As if every start had been seen when it was; what is gone teaches nothing."""
    there, started_s = UNSEEN[case]
    kept, seen = Calibration(), Calibration()
    for calibration in (kept, seen):
        for number in range(20):
            told(calibration, str(number), 1000, 0)
            calibration.started(str(number), 1000 + number)
        told(calibration, "j", 1000, 100)
    kept.resume([job("other")] if there is None else [job("other"), there])
    if there is None:
        seen.gone("j")
    elif started_s is not None:
        seen.started("j", started_s)
    assert [errors.ratios for errors in kept._errors] == [errors.ratios for errors in seen._errors]
    assert [errors.open for errors in kept._errors] == [errors.open for errors in seen._errors]
    assert (kept._order, told(kept, "k", 900, 500)) == (seen._order, told(seen, "k", 900, 500))
