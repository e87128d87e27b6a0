"""A tally says at any time what a count of all objects would say."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from hansa.process import tally
from hansa.process.tally import Tally

NEWS = st.tuples(st.sampled_from("abcd"), st.lists(st.sampled_from("xyz"), max_size=3))


@given(st.lists(NEWS, max_size=30))
def test_it_is_what_a_count_of_all_would_be(news):
    told, objects = Tally(), {}
    for key, sorts in news:
        objects[key] = sorts
        told.tell(key, sorts)
        assert told.counts == Counter(sort for all_of in objects.values() for sort in all_of)
        assert all(told.counts.values())


def test_nothing_is_kept_of_what_is_gone():
    told = Tally()
    told.tell("a", ["x"])
    told.tell("a", [])
    told.tell("b", [])
    assert (told.counts, told._of) == ({}, {})


def test_sorts_without_end_take_no_memory_without_end(monkeypatch):
    monkeypatch.setattr(tally, "MOST_KNOWN", 3)
    told = Tally()
    for number in range(20):
        told.tell("a", [number])
    assert len(told._known) <= 3
    assert told.counts == {19: 1}
