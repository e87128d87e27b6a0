"""A waitlist behaves like the tuple of its records, and makes those only that are read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from hansa.model.plan import Waiting
from hansa.model.reasons import Reason
from hansa.placement.explain.waitlist import Waitlist, about, reasons_of, retell

LIST = Waitlist(
    unplanned=(Waiting("u", Reason.MISCONFIGURED, "no"),),
    uids=("a", "b", "c"),
    said=(0, 1, 0),
    words=((Reason.WAITING_FOR_CAPACITY, "full"), (Reason.WAITING_FOR_QUOTA, "much")),
    ahead=(0, 1, 2),
    starts={1: (100, 200)},
)
LISTS = {"a waitlist": LIST, "a tuple": tuple(LIST)}


@pytest.mark.parametrize("waiting", LISTS.values(), ids=LISTS)
def test_what_each_waits_for_is_told_without_the_records(waiting):
    assert list(reasons_of(waiting)) == [(said.job_uid, said.reason) for said in LIST]


def _later(waiting: Iterable[Waiting]) -> list[Waiting]:
    return [
        said if said.start_p50_s is None else replace(said, start_p50_s=said.start_p50_s + 1)
        for said in waiting
    ]


@pytest.mark.parametrize("waiting", LISTS.values(), ids=LISTS)
def test_who_expects_a_start_is_told_anew_and_nobody_else(waiting):
    told = retell(waiting, _later)
    assert [said.job_uid for said in told] == ["u", "a", "b", "c"]
    assert [said.start_p50_s for said in told] == [None, None, 101, None]
    assert told[2].message == "much"


@pytest.mark.parametrize("waiting", LISTS.values(), ids=LISTS)
def test_some_are_found_without_the_others(waiting):
    assert list(about(waiting, {"b", "u", "z"})) == [LIST[0], LIST[2]]


def test_only_the_records_that_are_read_are_made():
    read: list[int] = []

    class Words(tuple[tuple[Reason, str], ...]):
        __slots__ = ()

        def __getitem__(self, place):
            read.append(place)
            return super().__getitem__(place)

    waiting = replace(LIST, words=Words(LIST.words))
    list(about(retell(waiting, _later), {"a"}))
    assert read == [1, 0]
