"""Pages of other pods: read whole or left out, whatever a pod answers."""

from __future__ import annotations

import asyncio
import contextlib
import gzip

import pytest
from aiohttp import web

from hansa.adapters import pages
from hansa.adapters.pages import MAX_PAGE_BYTES, read_pages

GOOD = "busy 1\n"
LONGEST = "x" * MAX_PAGE_BYTES
BOMB = gzip.compress(b"0" * (4 * MAX_PAGE_BYTES))
asked: list[str] = []


async def endless(request):
    answer = web.StreamResponse()
    await answer.prepare(request)
    with contextlib.suppress(ConnectionError):
        while True:
            await answer.write(b"0" * 65_536)


async def silent(_):
    await asyncio.Event().wait()


async def sudden(request):
    """Say that more comes, and go."""
    answer = web.StreamResponse(headers={"Content-Length": "100"})
    await answer.prepare(request)
    await answer.write(b"busy 1")
    request.transport.abort()
    return answer


def answering(**what):
    async def answer(_):
        return web.Response(**what)

    return answer


ANSWERS = {
    "a page": (answering(text=GOOD), GOOD),
    "an empty page": (answering(text=""), ""),
    "the longest page, which comes in pieces": (answering(text=LONGEST), LONGEST),
    "no text": (answering(body=b"a\xff"), "a\ufffd"),
    "a page that is one byte too long": (answering(text=f"{LONGEST}x"), None),
    "a page without end": (endless, None),
    "a page that ends too soon": (sudden, None),
    "a small page that becomes a large one": (
        answering(body=BOMB, headers={"Content-Encoding": "gzip"}),
        None,
    ),
    "a page that is not packed as it says": (
        answering(body=b"busy 1", headers={"Content-Encoding": "gzip"}),
        None,
    ),
    "somewhere else": (answering(status=302, headers={"Location": "/elsewhere"}), None),
    "not modified": (answering(status=304), None),
    "an error": (answering(status=500, text=GOOD), None),
    "nothing, and stays": (silent, None),
}


@contextlib.asynccontextmanager
async def serving(handler):
    """Serve one answer at ``/metrics``, and a good page everywhere else."""

    async def elsewhere(request):
        asked.append(request.path)
        return web.Response(text=GOOD)

    asked.clear()
    app = web.Application()
    app.router.add_get("/metrics", handler)
    app.router.add_get("/{path:.*}", elsewhere)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("case", ANSWERS.values(), ids=ANSWERS)
async def test_a_page_comes_whole_or_not_at_all_and_keeps_no_other_from_coming(case, monkeypatch):
    handler, page = case
    monkeypatch.setattr(pages, "TIMEOUT_S", 2.0 if handler is not silent else 0.2)
    async with serving(handler) as server:
        found = await read_pages([f"{server}/metrics", f"{server}/other"])
    assert found == ([GOOD] if page is None else [page, GOOD])
    assert asked == ["/other"]


async def test_who_is_not_there_is_left_out():
    async with serving(silent) as server:
        pass
    assert await read_pages([f"{server}/metrics", "http://[::1", "http:///x"]) == []
