"""The age of the last contact as the guard counts it, whatever clocks did."""

from __future__ import annotations

from hansa.guard.contact import ContactWatch
from tests.unit.guard.cluster_kit import NOW, Hands


def watch(clock: Hands) -> ContactWatch:
    return ContactWatch(clock, skew_s=60, grace_s=60)


def test_a_clock_that_ran_ahead_and_is_right_again_ends_nothing():
    clock = Hands()
    contact = watch(clock)
    contact.seen(NOW + 3_600, NOW + 3_600)
    contact.seen(NOW, NOW)
    assert contact.age_s(NOW) == 0
    contact.seen(NOW + 5, NOW + 5)
    assert contact.age_s(NOW + 5) == 0


def test_a_contact_that_is_not_renewed_does_not_live_again_by_a_clock_set_back():
    clock = Hands()
    contact = watch(clock)
    contact.seen(NOW, NOW)
    clock.pass_(500)
    contact.seen(NOW, NOW + 500)
    for now_s in (NOW - 7_200, NOW + 500):
        contact.seen(NOW, now_s)
        assert contact.age_s(now_s) >= 500


def test_an_older_contact_is_none():
    contact = watch(Hands())
    contact.seen(NOW, NOW)
    contact.seen(NOW - 300, NOW + 10)
    assert contact.last_s == NOW
