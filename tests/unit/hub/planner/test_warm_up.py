"""A hub plans by the interpreted kernel until the compiled one is there, however long that takes."""

from __future__ import annotations

import asyncio
import sys

import pytest

from hansa.hub.planner import warm_up
from hansa.placement.kernel import run
from tests.unit.hub import kit


@pytest.fixture(autouse=True)
def _may_compile(monkeypatch):
    """Whoever runs the tests may have told numba not to."""
    monkeypatch.delenv("NUMBA_DISABLE_JIT", raising=False)


@pytest.fixture
def kernels(monkeypatch):
    """Which kernel each plan asked for, without loading numba."""
    asked = []

    def plain(state, *, is_priced, is_compiled, **_):
        asked.append(is_compiled)
        return original(state, is_priced=is_priced, is_compiled=False)

    original = run.run
    monkeypatch.setattr(run, "run", plain)
    return asked


def test_the_first_plans_are_interpreted_and_later_ones_compiled(clock, kernels):
    store = kit.Store(clock)
    kit.namespace(store)
    kit.pool(store)
    kit.node(store, "tartu", kit.lent(machines=1, each=4))
    kit.submit(store, "a", **kit.gpus(1))
    hub = kit.led(store, clock)
    hub.settle_down()
    assert kernels
    assert not any(kernels)
    hub.plans.use_compiled()
    kernels.clear()
    kit.submit(store, "b", **kit.gpus(1))
    kit.later(hub, 5)
    assert kernels
    assert all(kernels)


COMPILED_ELSEWHERE = {
    "it was": ((sys.executable, "-c", ""), True),
    "it failed: then it is compiled here": ((sys.executable, "-c", "raise SystemExit(1)"), True),
    "it cannot start": (("/nowhere/python",), True),
}


@pytest.mark.parametrize("case", COMPILED_ELSEWHERE)
def test_the_kernel_is_loaded_whatever_becomes_of_the_process_that_compiles_it(case, monkeypatch):
    command, is_loaded = COMPILED_ELSEWHERE[case]
    here = []
    monkeypatch.setattr(warm_up, "warm_up", lambda: here.append("loaded"))
    monkeypatch.setattr(run, "compiled", lambda: "kernel")
    assert asyncio.run(warm_up.load_kernel(command)) is is_loaded
    assert here == ["loaded"]


def test_without_numba_nothing_is_started(monkeypatch):
    monkeypatch.setattr(warm_up, "find_spec", lambda _: None)
    assert asyncio.run(warm_up.load_kernel(("/nowhere/python",))) is False


def test_where_numba_is_told_not_to_compile_nothing_is_started(monkeypatch):
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    monkeypatch.setattr(warm_up, "warm_up", lambda: pytest.fail("loaded all the same"))
    assert asyncio.run(warm_up.load_kernel(("/nowhere/python",))) is False


COMPILES_FOR_LONG = """
import pathlib, sys, time
pathlib.Path(sys.argv[1], "begun").touch()
time.sleep(20)
pathlib.Path(sys.argv[1], "done").touch()
"""


def test_a_hub_that_is_told_to_end_does_not_wait_for_the_compiler(tmp_path, monkeypatch):
    """It would be killed before that ends, and its Lease would have to lapse."""
    monkeypatch.setattr(warm_up, "warm_up", lambda: pytest.fail("loaded all the same"))
    command = (sys.executable, "-c", COMPILES_FOR_LONG, str(tmp_path))

    async def begin_and_end():
        loading = asyncio.create_task(warm_up.load_kernel(command))
        while not (tmp_path / "begun").exists():  # another process's file
            assert not loading.done()
            await asyncio.sleep(0.01)
        loading.cancel()
        await asyncio.gather(loading, return_exceptions=True)

    asyncio.run(begin_and_end())
    assert not (tmp_path / "done").exists()


@pytest.mark.parametrize("is_kept", [True, False])
def test_it_is_compiled_elsewhere_only_where_that_is_kept(is_kept, monkeypatch):
    made = []
    monkeypatch.setattr(warm_up.os, "nice", lambda _: 0)
    monkeypatch.setattr(run, "has_cache", lambda: is_kept)
    monkeypatch.setattr(warm_up, "warm_up", lambda: made.append("compiled"))
    warm_up.main()
    assert made == ["compiled"] * is_kept
