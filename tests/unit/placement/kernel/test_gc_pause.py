"""A plan is not interrupted to collect garbage, nor held up for it at its end."""

from __future__ import annotations

import gc

import pytest

from hansa.placement.kernel import gc_pause
from hansa.placement.kernel.gc_pause import collections_are_short, quiet


@pytest.fixture
def collections():
    found: list[int] = []

    def note(phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            found.append(info["generation"])

    gc.callbacks.append(note)
    yield found
    gc.callbacks.remove(note)


def test_what_a_plan_made_is_looked_over_and_nothing_else(collections):
    gc.collect()
    collections.clear()
    with quiet():
        kept = [[number] for number in range(200_000)]
        assert collections == []
    assert collections == [0]
    assert len(kept) == 200_000
    assert gc.isenabled()


def test_who_collects_nothing_goes_on_collecting_nothing(collections):
    gc.disable()
    try:
        with quiet():
            pass
        assert not gc.isenabled()
        assert collections == []
    finally:
        gc.enable()


def test_where_collections_are_short_they_go_on_during_a_plan(collections, monkeypatch):
    monkeypatch.setattr(gc_pause, "_are_short", False)
    collections_are_short()
    gc.collect()
    collections.clear()
    with quiet():
        kept = [[number] for number in range(200_000)]
        during = len(collections)
    assert during > 5
    assert len(kept) == 200_000
