"""The age of the last contact as the guard counts it, whatever clocks did."""

from __future__ import annotations

from hansa.guard.contact import ContactWatch
from tests.unit.guard.cluster_kit import NOW, Hands


def watch(clock: Hands) -> ContactWatch:
    return ContactWatch(clock, skew_s=60, grace_s=60)


def test_a_contact_renewed_after_clocks_that_ran_ahead_counts():
    """What was believed while they did lies ahead of every contact to come, for an hour."""
    clock = Hands()
    contact = watch(clock)
    contact.seen(NOW + 3_600, NOW + 3_600)
    for _ in range(10):
        clock.pass_(30)
        contact.seen(clock.now(), clock.now())
    assert contact.age_s(clock.now()) == 0


def test_a_contact_that_is_not_renewed_does_not_live_again_by_a_clock_set_back():
    clock = Hands()
    contact = watch(clock)
    contact.seen(NOW + 3_600, NOW + 3_600)
    contact.seen(NOW, NOW)
    for _ in range(10):
        clock.pass_(50)
        contact.seen(NOW, NOW)
    assert contact.age_s(NOW) == 500


def test_an_older_contact_is_none():
    contact = watch(Hands())
    contact.seen(NOW, NOW)
    contact.seen(NOW - 300, NOW + 10)
    assert contact.last_s == NOW
