"""The age of the last word with the hub, on two clocks."""

from dataclasses import dataclass

from hansa.member.hub_link.contact import Contact


@dataclass
class Hands:
    """A clock moved by hand."""

    wall: float = 1000.0
    steady: float = 0.0

    def now(self) -> float:
        return self.wall

    def monotonic(self) -> float:
        return self.steady


def test_contact_is_as_old_as_the_worse_clock_says():
    clock = Hands()
    contact = Contact(clock)
    assert contact.last_s is None
    clock.wall, clock.steady = 1010.0, 4.0
    assert contact.age_s == 10
    sent = contact.moment()
    clock.wall, clock.steady = 1000.0, 9.0
    contact.made(sent)
    assert (contact.age_s, contact.last_s) == (5, 1010.0)
    assert Contact(clock, last_s=400.0).age_s == 600
    assert Contact(clock, last_s=5000.0).age_s == 0
