"""A reflector over a server that lies, repeats itself, floods or dies."""

import asyncio
import time
import weakref
from types import SimpleNamespace

import orjson
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from e2e.testbed.host.clock import PATIENCE_S
from hansa.adapters.clock import SystemClock
from hansa.adapters.kube import client
from hansa.adapters.kube.mirror import Kept, Mirror, is_newer
from hansa.adapters.kube.reflector import Pace, Reflector
from hansa.adapters.turns import MOST_IN_A_TURN
from hansa.ports import Page, WatchEvent
from tests.unit.adapters.servers import page_of, serving, thing

VERSIONS = {
    "a higher number": ("10", "9", True),
    "a lower number": ("9", "10", False),
    "a digit that int refuses": ("²", "1", True),
    "another script's digits": ("٣", "1", True),
    "more digits than int reads": ("1" * 5000, "1", True),
    "the same": ("x", "x", False),
}


@pytest.mark.parametrize(("new", "old", "newer"), VERSIONS.values(), ids=VERSIONS)
def test_which_version_is_newer(new, old, newer):
    assert is_newer(thing("a", new), thing("a", old)) is newer


@given(st.text(), st.text())
def test_no_version_raises(new, old):
    is_newer(thing("a", new), thing("a", old))


STORMS = {
    "410 to every list": lambda _: web.Response(status=410),
    "410 to every watch": lambda request: (
        web.json_response({"type": "ERROR", "object": {"code": 410}})
        if "watch" in request.query
        else page_of([])
    ),
    "every watch ends at once": lambda request: (
        web.Response(text="") if "watch" in request.query else page_of([])
    ),
    "every watch says one word and ends": lambda request: (
        web.json_response({"type": "BOOKMARK", "object": thing("b", time.monotonic_ns())})
        if "watch" in request.query
        else page_of([])
    ),
}


@pytest.mark.parametrize("storm", STORMS.values(), ids=STORMS)
async def test_no_answer_makes_a_reflector_ask_in_a_tight_loop(storm):
    asked = []

    async def answer(request):
        asked.append(1)
        return storm(request)

    async with serving(answer) as cluster:
        task = asyncio.create_task(Reflector(cluster, "/things", clock=SystemClock()).run())
        await asyncio.sleep(2)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert 2 <= len(asked) <= 25


def test_a_mirror_holds_no_more_than_it_may():
    told = []
    mirror = Mirror(kept=Kept(most_bytes=1000), on_change=lambda kind, _: told.append(kind))
    for number in range(100):
        mirror.put(thing(f"a{number}", 1))
    held = len(mirror)
    assert 5 < held < 20
    assert told == ["ADDED"] * held

    mirror.put(thing("a0", 2))
    assert mirror.get("a0") == thing("a0", 2)
    mirror.drop(thing("a0", 2))
    mirror.put(thing("b", 1))
    assert "b" in mirror
    mirror.replace([thing(f"c{number}", 1) for number in range(100)])
    assert {name[0] for name in mirror} == {"c"}
    assert abs(len(mirror) - held) <= 1


async def test_a_fault_in_reading_does_not_end_a_reflector(caplog):
    class Odd:
        calls = 0

        async def pages(self, *_, **__):
            self.calls += 1
            raise ZeroDivisionError
            yield  # pragma: no cover  # makes it a generator

    odd = Odd()
    task = asyncio.create_task(Reflector(odd, "/things", clock=SystemClock()).run())
    async with asyncio.timeout(PATIENCE_S):
        while odd.calls < 2:  # noqa: ASYNC110  # its own counter
            await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert "collection not understood" in caplog.text


async def test_a_reflector_survives_410_garbage_and_a_half_open_watch():
    lists, watches = [], []

    async def answer(request):
        if "watch" not in request.query:
            lists.append(1)
            items = [thing("a", len(lists)), *([thing("b", 9)] if len(lists) < 3 else [])]
            return web.json_response(
                {"kind": "XList", "metadata": {"resourceVersion": str(len(lists))}, "items": items}
            )
        watches.append(1)
        if len(watches) == 1:
            return web.json_response({"type": "ERROR", "object": {"code": 410}})
        if len(watches) == 2:
            return web.Response(text="<html>")
        if len(watches) == 3:
            return web.json_response(
                {"type": "ERROR", "object": {"code": 410, "reason": "Expired"}}
            )
        response = web.StreamResponse()
        await response.prepare(request)
        await at_end.wait()
        return response

    seen, at_end = [], asyncio.Event()
    async with serving(answer) as cluster:
        mirror = Reflector(
            cluster,
            "/things",
            clock=SystemClock(),
            on_change=lambda kind, obj: seen.append((kind, obj["metadata"]["name"])),
        )
        task = asyncio.create_task(mirror.run())
        async with asyncio.timeout(PATIENCE_S):
            while len(watches) < 5:  # noqa: ASYNC110  # the server's own counter
                await asyncio.sleep(0.05)
        at_end.set()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    assert len(lists) >= 3
    assert ("DELETED", "b") in seen
    assert set(mirror) == {"a"}


class Listed:
    """A server with one list in pages, whose watch says nothing."""

    def __init__(self, *pages) -> None:
        self._pages = pages

    async def pages(self, *_, **__):
        for items in self._pages:
            yield Page(items, "9")

    async def watch(self, *_, **__):
        await asyncio.Event().wait()
        yield  # pragma: no cover  # makes it a generator


async def test_a_long_list_is_taken_in_turns():
    """Each object costs its reader time; others run in between."""
    items = [
        {"metadata": {"name": f"j{n}", "uid": f"u{n}", "resourceVersion": "1"}} for n in range(1000)
    ]
    turns, longest = 0, 0

    def read(*_):
        nonlocal turns, longest
        turns += 1
        longest = max(longest, turns)

    async def other():
        nonlocal turns
        while True:
            turns = 0
            await asyncio.sleep(0)

    clock = SimpleNamespace(monotonic=lambda: 0.0)
    mirror = Reflector(Listed(items), "/jobs", clock=clock, on_change=read)
    tasks = [asyncio.create_task(other()), asyncio.create_task(mirror.run())]
    await mirror.wait_synced()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert len(mirror) == 1000
    assert longest <= MOST_IN_A_TURN


async def list_once(mirror):
    task = asyncio.create_task(mirror.run())
    async with asyncio.timeout(PATIENCE_S):
        await mirror.wait_synced()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_of_a_long_list_one_page_is_in_memory_at_a_time():
    made = []

    class Listing(list):
        """A list that can be referred to weakly."""

    class Long:
        most = 0

        async def pages(self, *_, **__):
            for page in range(20):
                items = Listing(thing(f"j{page}-{n}", 1) for n in range(10))
                made.append(weakref.ref(items))
                self.most = max(self.most, sum(1 for one in made if one() is not None))
                yield Page(items, "9")
                del items

        watch = Listed.watch

    server = Long()
    mirror = Reflector(server, "/jobs", clock=SystemClock(), kept=Kept(trim=dict))
    await list_once(mirror)
    assert len(mirror) == 200
    assert server.most <= 2


async def test_what_was_made_since_a_list_began_stays():
    """A grant we have just written is in no list that began before; what is gone goes all the same."""
    told = []

    class Slow(Listed):
        async def pages(self, *_, **__):
            yield Page([thing("a", 1)], "9")
            mirror.put(thing("made", 12))
            mirror.put(thing("an answer that was late", 5))
            yield Page([thing("b", 1)], "9")

    mirror = Reflector(
        Slow(), "/grants", clock=SystemClock(), on_change=lambda kind, one: told.append((kind, one))
    )
    mirror.put(thing("gone", 1))
    await list_once(mirror)
    assert set(mirror) == {"a", "b", "made"}
    assert {one["metadata"]["name"] for kind, one in told if kind == "DELETED"} == {
        "gone",
        "an answer that was late",
    }


async def test_room_of_what_is_gone_is_given_to_what_is_new():
    size = len(orjson.dumps(thing("a0", 1)))
    old = [thing(f"a{number}", 1) for number in range(5)]
    server = Listed([thing("b0", 1), thing("b1", 1)], [thing("b2", 1)])
    mirror = Reflector(server, "/grants", clock=SystemClock(), kept=Kept(most_bytes=5 * size))
    mirror.replace(old)
    await list_once(mirror)
    assert set(mirror) == {"b0", "b1", "b2"}


class Swallowing:
    """A server whose watch never tells of what was made; each of its words comes a minute after the last."""

    def __init__(self) -> None:
        self.now_s, self.lists, self.words = 0.0, 0, 0

    def monotonic(self) -> float:
        return self.now_s

    async def pages(self, *_, **__):
        self.lists += 1
        yield Page([thing("a", 1), *([thing("b", 2)] if self.lists > 1 else [])], "9")

    async def watch(self, *_, **__):
        while self.words < 100:
            self.words += 1
            self.now_s += 60.0
            yield WatchEvent("BOOKMARK", thing("bookmark", 9))
            await asyncio.sleep(0)
        await asyncio.Event().wait()


async def test_what_a_watch_does_not_tell_is_found_by_the_next_list():
    server = Swallowing()
    mirror = Reflector(server, "/jobs", clock=server, pace=Pace(600.0))
    task = asyncio.create_task(mirror.run())
    async with asyncio.timeout(PATIENCE_S):
        while "b" not in mirror:  # noqa: ASYNC110  # what the reflector keeps
            await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert server.words <= 12


async def test_a_watch_that_drips_blinds_nobody(monkeypatch):
    """Bytes now and then, and never a line: by the silence alone the watch would live for ever."""
    monkeypatch.setattr(client, "WATCH_TIMEOUT_S", 0.3)
    watches = []

    async def answer(request):
        if "watch" not in request.query:
            return page_of([thing("a", 1)])
        watches.append(1)
        drips = web.StreamResponse()
        await drips.prepare(request)
        if len(watches) > 1:
            await drips.write(orjson.dumps({"type": "ADDED", "object": thing("b", 2)}) + b"\n")
        while True:
            await drips.write(b" ")
            await asyncio.sleep(0.02)

    async with serving(answer) as cluster:
        reflector = Reflector(cluster, "/things", clock=SystemClock())
        task = asyncio.create_task(reflector.run())
        async with asyncio.timeout(PATIENCE_S):
            while "b" not in reflector:  # noqa: ASYNC110  # another's doing
                await asyncio.sleep(0.02)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
