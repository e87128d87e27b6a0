"""Machines hold what they can, and no more."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from e2e.bench.simulation.occupancy import Occupancy
from hansa.errors import Terminal
from hansa.model.snapshot import Machines, Shape, Site

GIB = 1 << 30
SIZES = (1, 2, 4, 8)


def _site(*sizes: int) -> Site:
    machines = tuple(Machines(1, size, "a", 16 * GIB, 8000, 64 * GIB) for size in sizes)
    return Site("s", "s", "s", "EE", frozenset({"EE"}), machines)


FITS = {
    "one worker": ((8,), Shape(1, 8), True),
    "too large for any machine": ((4, 4), Shape(1, 8), False),
    "a gang over two machines": ((4, 4), Shape(2, 4), True),
    "one worker too many": ((4, 4), Shape(3, 4), False),
    "another class": ((8,), Shape(1, 1, gpu_class="b"), False),
    "more memory than there is": ((8,), Shape(1, 1, gpu_memory_bytes=32 * GIB), False),
}


@pytest.mark.parametrize(("sizes", "shape", "fits"), FITS.values(), ids=FITS)
def test_gangs_fit_whole_or_not_at_all(sizes, shape, fits):
    world = Occupancy((_site(*sizes),))
    assert world.could_ever_fit("s", shape) is fits
    assert world.fits("s", shape) is fits
    if not fits:
        with pytest.raises(Terminal):
            world.take("job", "s", shape)


def test_workers_move_to_make_room_and_are_counted():
    world = Occupancy((_site(8, 8),))
    for uid in ("a", "b", "c", "d"):
        world.take(uid, "s", Shape(1, 4))
    world.release("a")
    world.release("c")
    assert world.fits("s", Shape(1, 8))
    world.take("large", "s", Shape(1, 8))
    assert world.moves == 1
    assert world.free["s"] == 0


def test_a_site_that_is_down_takes_nothing():
    world = Occupancy((_site(8),))
    world.set_up("s", up=False)
    assert not world.fits("s", Shape(1, 1))
    world.set_up("s", up=True)
    assert world.fits("s", Shape(1, 1))


def test_room_without_others():
    world = Occupancy((_site(8),))
    world.take("a", "s", Shape(1, 4))
    world.take("b", "s", Shape(1, 4))
    [cell] = world.cells("s", Shape(1, 8))
    assert not cell.fits_without(Shape(1, 8), ["a"])
    assert cell.fits_without(Shape(1, 8), ["a", "b"])
    assert world.cell_of("a") is cell
    assert world.cell_of("unknown") is None
    assert world.cells("s", Shape(1, 8, gpu_class="b")) == []
    world.set_up("s", up=False)
    assert world.cells("s", Shape(1, 8)) == []
    assert world.running_at("s") == ["a", "b"]


@given(
    machines=st.lists(st.sampled_from(SIZES), min_size=1, max_size=5),
    gangs=st.lists(st.tuples(st.integers(1, 3), st.sampled_from(SIZES)), max_size=12),
    ends=st.lists(st.integers(0, 11), max_size=6),
)
def test_books_balance(machines, gangs, ends):
    world = Occupancy((_site(*machines),))
    held = {}
    for number, (workers, gpus) in enumerate(gangs):
        shape = Shape(workers, gpus)
        if world.fits("s", shape):
            world.take(str(number), "s", shape)
            held[str(number)] = shape
    for number in ends:
        if held.pop(str(number), None):
            world.release(str(number))
    assert world.free["s"] == sum(machines) - sum(shape.total_gpus for shape in held.values())
    for uid in list(held):
        world.release(uid)
    assert all(world.fits("s", Shape(1, size)) for size in machines)
