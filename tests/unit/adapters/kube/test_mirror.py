"""A mirror believes lists whatever their versions, and events only where they are newer."""

from __future__ import annotations

import asyncio

import pytest

from hansa.adapters.kube import reflector
from hansa.adapters.kube.reflector import Mirror, Pace, Reflector
from hansa.errors import Retryable
from hansa.ports import Page, WatchEvent


def thing(version: int, *, uid: str = "u", name: str = "a"):
    return {"metadata": {"name": name, "uid": uid, "resourceVersion": str(version)}}


@pytest.fixture
def told():
    return []


@pytest.fixture
def mirror(told):
    def note(kind, one):
        told.append((kind, one["metadata"]["resourceVersion"]))

    return Mirror(on_change=note)


def version(mirror):
    return mirror.get("a")["metadata"]["resourceVersion"]


def test_an_older_event_undoes_nothing(mirror, told):
    mirror.put(thing(5))
    mirror.put(thing(3))
    assert version(mirror) == "5"
    assert told == [("ADDED", "5")]


def test_versions_compare_as_numbers(mirror):
    mirror.put(thing(9))
    mirror.put(thing(10))
    assert version(mirror) == "10"


def test_a_list_replaces_also_where_its_versions_are_lower(mirror, told):
    """So they are when a server was restored from a backup."""
    mirror.put(thing(900))
    mirror.replace([thing(7)])
    assert version(mirror) == "7"
    assert told[-1] == ("MODIFIED", "7")


def test_a_list_repairs_what_no_event_told(mirror, told):
    mirror.put(thing(5))
    mirror.put(thing(6, name="b", uid="v"))
    mirror.replace([thing(8)])
    assert version(mirror) == "8"
    assert mirror.get("b") is None
    assert told[2:] == [("DELETED", "6"), ("MODIFIED", "8")]


def test_a_list_that_says_the_same_tells_nothing(mirror, told):
    mirror.put(thing(5))
    mirror.replace([thing(5)])
    assert told == [("ADDED", "5")]


def test_the_end_of_a_namesake_is_not_its_own(mirror):
    mirror.put(thing(5, uid="new"))
    mirror.drop(thing(6, uid="old"))
    assert version(mirror) == "5"


class Deaf:
    """A server whose every watch is cut short and tells nothing of what happens; time passes in them."""

    def __init__(self, *, breaks: bool) -> None:
        self.now_s = 0.0
        self.listed: list[float] = []
        self.breaks = breaks

    def monotonic(self) -> float:
        return self.now_s

    def now(self) -> float:
        return self.now_s

    async def list(self, _: str, **__: str) -> Page:
        self.listed.append(self.now_s)
        return Page([thing(len(self.listed))], str(len(self.listed)))

    async def pages(self, path: str, **_: str):
        yield await self.list(path)

    async def watch(self, _: str, version: str, **__: str):
        self.now_s += 60
        yield WatchEvent("BOOKMARK", {"metadata": {"resourceVersion": version}})
        if self.breaks:
            raise Retryable("connection reset")


@pytest.mark.parametrize("breaks", [False, True], ids=["ended", "broken"])
async def test_watches_that_are_cut_short_put_no_list_off(breaks, monkeypatch):
    """As by a proxy that ends what lasts for a minute."""
    server = Deaf(breaks=breaks)
    monkeypatch.setattr(reflector, "FIRST_BACKOFF_S", 0.0)
    mirror = Reflector(server, "/x", clock=server, pace=Pace(600))
    task = asyncio.create_task(mirror.run())
    while server.now_s < 3600:  # noqa: ASYNC110  # time passes where it watches
        await asyncio.sleep(0)
    task.cancel()
    assert len(server.listed) >= 5
    assert max(b - a for a, b in zip(server.listed, server.listed[1:], strict=False)) <= 720


async def test_a_list_that_is_asked_for_comes_with_the_next_word(monkeypatch):
    server = Deaf(breaks=False)
    monkeypatch.setattr(reflector, "FIRST_BACKOFF_S", 0.0)
    mirror = Reflector(server, "/x", clock=server, pace=Pace(1e9))
    task = asyncio.create_task(mirror.run())
    await mirror.wait_synced()
    mirror.list_again()
    while len(server.listed) < 2:  # noqa: ASYNC110  # time passes where it watches
        await asyncio.sleep(0)
    task.cancel()
    assert server.listed[1] - server.listed[0] <= 120
