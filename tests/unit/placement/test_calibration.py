"""Bands are as wide as past errors were."""

from __future__ import annotations

import numpy as np
import pytest

from hansa.placement.calibration import Calibration

ODDS = (0.1, 0.5, 0.9)


def test_nothing_is_said_before_something_is_known():
    assert Calibration().quantiles_s(100.0, 0, ODDS) is None


def test_the_band_covers_what_past_errors_cover():
    rng = np.random.default_rng(1)
    calibration, hits = Calibration(), 0
    for number in range(1_000):
        now_s, told_s = number * 10_000, float(rng.integers(700, 3_000))
        waited_s = int(told_s * rng.lognormal(0.0, 1.0))
        band = calibration.quantiles_s(told_s, now_s, ODDS)
        hits += band is not None and band[0] <= waited_s <= band[2]
        calibration.promise(str(number), told_s, now_s)
        calibration.started(str(number), now_s + waited_s)
    assert hits / 1_000 == pytest.approx(0.8, abs=0.05)


def test_those_who_still_wait_count():
    calibration = Calibration()
    for number in range(40):
        calibration.promise(str(number), 100.0, 0)
        if number < 20:
            calibration.started(str(number), 100)
    early = calibration.quantiles_s(100.0, 100, ODDS)
    late = calibration.quantiles_s(100.0, 10_000, ODDS)
    assert early is not None
    assert late is not None
    assert late[2] > early[2] * 10


def test_an_unknown_start_is_nothing():
    Calibration().started("nobody", 5)
