"""When the hub last heard of this member: the worse clock counts, and a silence that is over too."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest

from hansa.member.hub_link.contact import Contact


@dataclass
class Hands:
    """A clock moved by hand."""

    wall: float = 10_000.0
    steady: float = 0.0

    def now(self) -> float:
        return self.wall

    def monotonic(self) -> float:
        return self.steady

    def pass_(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds


def test_contact_is_as_old_as_the_worse_clock_says():
    clock = Hands()
    contact = Contact(clock, last_s=10_000.0)
    clock.wall, clock.steady = 10_010.0, 4.0
    assert contact.age_s == 10
    sent = contact.moment()
    clock.wall, clock.steady = 10_000.0, 9.0
    contact.made(sent)
    assert (contact.age_s, contact.last_s) == (5, 10_010.0)


def test_a_restart_does_not_begin_the_clock_anew():
    assert Contact(Hands(), last_s=9_400.0).age_s == 600


def test_a_contact_that_is_missing_or_to_come_is_none():
    for last_s in (None, 10_061.0):
        contact = Contact(Hands(), last_s=last_s)
        assert (contact.age_s, contact.last_s) == (math.inf, None)
        assert contact.unattended_s(granted_s=4_000.0) == 6_000
    assert Contact(Hands(), last_s=10_060.0).age_s == 0


def test_a_silence_counts_when_it_is_over():
    """While it lasted, the hub may have given the job away: the run must not go on."""
    clock = Hands()
    contact = Contact(clock, last_s=6_000.0)
    contact.made(contact.moment())
    clock.pass_(15)
    contact.made(contact.moment())
    assert contact.age_s == 0
    assert contact.unattended_s(granted_s=0.0) == 4_000
    assert contact.unattended_s(granted_s=9_000.0) == 1_000
    assert contact.unattended_s(granted_s=10_005.0) == 0


def test_a_clock_set_back_hides_no_silence():
    clock = Hands()
    contact = Contact(clock, last_s=10_000.0)
    clock.pass_(4_000)
    clock.wall = 8_000.0
    assert contact.unattended_s(granted_s=9_000.0) == 4_000
    contact.made(contact.moment())
    assert contact.unattended_s(granted_s=9_000.0) == 4_000


def test_the_first_contact_ends_a_silence_of_unknown_length():
    contact = Contact(Hands(), last_s=None)
    contact.made(contact.moment())
    assert contact.age_s == 0
    assert contact.unattended_s(granted_s=4_000.0) == 6_000


def test_a_grant_after_the_silence_is_not_concerned():
    clock = Hands()
    contact = Contact(clock, last_s=None)
    contact.made(contact.moment())
    clock.pass_(5)
    assert contact.unattended_s(granted_s=10_003.0) == 2


def test_a_silence_of_a_clock_that_ran_ahead_ends_no_later_grant():
    """It lies in the future, once the clock is right again."""
    clock = Hands()
    contact = Contact(clock, last_s=None)
    contact.made(contact.moment())
    clock.wall += 3_600
    contact.made(contact.moment())
    clock.wall -= 3_600
    contact.made(contact.moment())
    clock.pass_(1)
    taken = contact.moment()
    for _ in range(10):
        clock.pass_(20)
        contact.made(contact.moment())
        assert contact.unattended_s(taken[0], taken) <= 20


JUMPS = {"none": 0.0, "back": -5_000.0, "forward": 5_000.0}


@pytest.mark.parametrize("jump_s", JUMPS.values(), ids=JUMPS)
def test_a_silence_after_it_was_taken_counts_whatever_the_clock_does(jump_s):
    clock = Hands()
    contact = Contact(clock, last_s=10_000.0)
    contact.made(contact.moment())
    taken = contact.moment()
    clock.pass_(500)
    clock.wall += jump_s
    assert contact.unattended_s(taken[0], taken) >= 500
    contact.made(contact.moment())
    clock.pass_(9)
    assert contact.unattended_s(taken[0], taken) >= 500


def test_a_machine_that_slept_was_silent():
    clock = Hands()
    contact = Contact(clock, last_s=10_000.0)
    contact.made(contact.moment())
    clock.pass_(1)
    taken = contact.moment()
    clock.wall += 3_600
    clock.pass_(1)
    assert contact.unattended_s(taken[0], taken) >= 3_600
