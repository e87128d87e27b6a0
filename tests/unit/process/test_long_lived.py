"""What has survived a full garbage collection is looked at no more, until that is asked for."""

import gc
import weakref

import pytest

from hansa.process import long_lived


class Knot:
    """Refers to itself: only a collection finds that nobody else does."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def _only_here():
    yield
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
