"""Reads small text pages from other pods of this cluster, in parallel and bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import aiohttp

MAX_PAGE_BYTES = 1 << 20
TIMEOUT_S = 5.0
CONCURRENCY = 16
OK = 200


async def read_pages(urls: Iterable[str]) -> list[str]:
    """Return the pages that came whole; others are left out, for their pods may be restarting.

    Half a page would be believed: a number that was cut is another number.
    """
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    connector = aiohttp.TCPConnector(limit=CONCURRENCY)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
        found = await asyncio.gather(*(_read(session, url) for url in urls))
    return [page for page in found if page is not None]


async def _read(session: aiohttp.ClientSession, url: str) -> str | None:
    try:
        async with session.get(url, allow_redirects=False) as answer:
            page = bytearray()
            async for piece in answer.content.iter_any():
                page += piece
                if len(page) > MAX_PAGE_BYTES:
                    answer.close()
                    return None
            return page.decode(errors="replace") if answer.status == OK else None
    except (aiohttp.ClientError, TimeoutError):
        return None
