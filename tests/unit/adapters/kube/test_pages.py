"""A list is read whole, however large its objects are: pages shrink and grow.

The server makes one page ahead of what is read, and never more.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest
from aiohttp import web

from e2e.testbed.host.clock import PATIENCE_S
from hansa.adapters.kube.client import OWN, Bounds
from hansa.errors import Gone, TooLarge
from tests.unit.adapters.servers import serving

SMALL = [1] * 700
LISTS = {
    "small objects only": SMALL,
    "large ones in the middle": SMALL + [900] * 40 + SMALL,
    "large ones at the end": SMALL + [900] * 3,
    "nothing": [],
}


def collection(sizes, asked):
    """A server's list of objects of so many bytes each, with the length of each page asked for."""

    async def answer(request):
        start, length = int(request.query.get("continue", "0")), int(request.query["limit"])
        asked.append(length)
        part = [
            {
                "metadata": {"name": str(i), "uid": str(i), "resourceVersion": "1"},
                "x": "y" * sizes[i],
            }
            for i in range(start, min(len(sizes), start + length))
        ]
        after = start + length
        meta = {"resourceVersion": "7", "continue": str(after) if after < len(sizes) else ""}
        return web.json_response({"kind": "ThingList", "metadata": meta, "items": part})

    return answer


@pytest.mark.parametrize("case", LISTS)
async def test_a_list_with_large_objects_is_read_whole(case):
    sizes, asked = LISTS[case], []

    async with serving(collection(sizes, asked), Bounds(answer=60_000)) as cluster:
        page = await cluster.list("/things")

    assert [item["metadata"]["name"] for item in page.items] == [str(i) for i in range(len(sizes))]
    assert page.resource_version == "7"
    assert asked[0] == OWN.page_items


async def test_pages_grow_again_after_large_objects():
    asked: list[int] = []

    async with serving(
        collection([900] * 400 + [1] * 3000, asked), Bounds(answer=60_000)
    ) as cluster:
        await cluster.list("/things")

    assert min(asked) < 63
    assert max(asked[-3:]) > 125


async def test_one_object_beyond_all_bounds_is_said_so():
    async with serving(collection([1, 9_000], []), Bounds(answer=5_000)) as cluster:
        with pytest.raises(TooLarge, match="larger than 5000 bytes"):
            await cluster.list("/things")


async def test_the_next_page_is_made_while_one_is_read_and_no_other():
    answer, asked = collection([1] * 2500, []), asyncio.Queue[str]()

    async def noted(request):
        asked.put_nowait(request.query.get("continue", ""))
        return await answer(request)

    async with serving(noted) as cluster, aclosing(cluster.pages("/things")) as pages:
        await anext(pages)
        assert await asked.get() == ""
        for after in ("500", "1000", "1500", "2000"):
            assert await asyncio.wait_for(asked.get(), PATIENCE_S) == after
            await asyncio.sleep(0.05)
            assert asked.empty()
            assert len((await anext(pages)).items) == OWN.page_items
        with pytest.raises(StopAsyncIteration):
            await anext(pages)
    assert asked.empty()


async def test_who_stops_reading_leaves_no_request_behind():
    held, asked = asyncio.Event(), []
    answer = collection([1] * 2500, asked)

    async def slow(request):
        if "continue" in request.query:
            held.set()
            await asyncio.sleep(60)
        return await answer(request)

    async with serving(slow) as cluster:
        before = asyncio.all_tasks()
        async with aclosing(cluster.pages("/things")) as pages:
            await anext(pages)
            await asyncio.wait_for(held.wait(), PATIENCE_S)
        assert not [task for task in asyncio.all_tasks() - before if "_call" in repr(task)]


async def test_a_page_that_cannot_be_made_is_said_once_all_before_it_was_read():
    answer = collection([1] * 700, [])

    async def breaks(request):
        if "continue" in request.query:
            return web.json_response({"reason": "Expired", "message": "too old"}, status=410)
        return await answer(request)

    async with serving(breaks) as cluster:
        pages = cluster.pages("/things")
        page = await anext(pages)
        await asyncio.sleep(0.05)
        assert len(page.items) == OWN.page_items
        with pytest.raises(Gone):
            await anext(pages)
