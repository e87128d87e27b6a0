"""What has survived a full garbage collection is looked at no more, until that is asked for."""

import gc
import itertools
import weakref

import pytest

from hansa.process import long_lived


class Knot:
    """Refers to itself: only a collection finds that nobody else does."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def _only_here():
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)
    if long_lived._after in gc.callbacks:
        gc.callbacks.remove(long_lived._after)
    gc.unfreeze()


def test_survivors_are_set_aside_and_new_garbage_is_found() -> None:
    long_lived.set_survivors_aside()
    long_lived.set_survivors_aside()
    assert gc.callbacks.count(long_lived._after) == 1
    old = Knot()
    gc.collect()
    assert gc.get_freeze_count() > 0
    seen = weakref.ref(old), weakref.ref(Knot())
    del old
    gc.collect()
    assert [knot() is None for knot in seen] == [False, True]
    long_lived.look_at_all()
    gc.collect()
    assert seen[0]() is None


def test_however_much_comes_no_full_collection_looks_at_all_of_it() -> None:
    gc.set_threshold(700, 10, 10)
    long_lived.set_survivors_aside()
    # The interpreter waits for a quarter of what the last one found: here all that the tests before made.
    for _ in range(2):
        gc.collect()
    aside = [gc.get_freeze_count()]

    def note(phase, info):
        if (phase, info["generation"]) == ("stop", long_lived.FULL):
            aside.append(gc.get_freeze_count())

    gc.callbacks.append(note)
    kept = [[[n] for n in range(1000)] for _ in range(300)]
    gc.callbacks.remove(note)
    assert len(kept) == 300
    assert aside[-1] - aside[0] > 200_000
    assert max(later - sooner for sooner, later in itertools.pairwise(aside)) < 50_000


def test_what_comes_to_stay_is_set_aside_and_was_hardly_looked_at() -> None:
    long_lived.set_survivors_aside()
    gc.collect()
    usual, looks = gc.get_threshold(), []
    with long_lived.much_comes_to_stay():
        gc.callbacks.append(lambda _, info: looks.append(info["generation"]))
        kept = [[[n] for n in range(1000)] for _ in range(300)]
        gc.callbacks.pop()
        assert len(looks) <= 2 * (2 + 300_000 // long_lived.FEW_COLLECTIONS)
    assert {*looks} <= {0}
    assert gc.get_threshold() == usual
    assert gc.get_freeze_count() > len(kept) * 1000


def test_garbage_is_found_all_the_same_where_much_comes_and_goes() -> None:
    long_lived.set_survivors_aside()
    with long_lived.much_comes_to_stay():
        seen = weakref.ref(Knot())
        kept = [[n] for n in range(2 * long_lived.FEW_COLLECTIONS)]
    assert len(kept) == 2 * long_lived.FEW_COLLECTIONS
    assert seen() is None


def test_who_sets_nothing_aside_keeps_what_is_usual() -> None:
    before, frozen = gc.get_threshold(), gc.get_freeze_count()
    with long_lived.much_comes_to_stay():
        assert gc.get_threshold() == before
    assert gc.get_freeze_count() == frozen
