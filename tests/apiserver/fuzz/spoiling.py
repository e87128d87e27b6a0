"""The ways to spoil an answer or a watch, by name. Each says whether the connection is of more use."""

from __future__ import annotations

import asyncio
import base64
import functools
import gzip
import json
from collections.abc import Mapping
from typing import Any

from tests import hostile
from tests.apiserver.fuzz.proxy import HostileProxy, Line, Request, Spoil

STATUSES = (200, 201, 202, 204, 206, 300, 301, 304, 307, 400, 401, 403, 404, 405, 408, 409, 410,
            413, 415, 418, 422, 425, 429, 431, 500, 502, 503, 504, 511, 599, 999)  # fmt: skip
HEADERS = (
    {"Content_Type": "text/html"},
    {"Content_Type": "application/x-protobuf"},
    {"Content_Type": "application/json; charset=klingon"},
    {"Content_Encoding": "gzip"},
    {"Content_Encoding": "br, gzip, deflate, zstd, nonsense"},
    {"Retry_After": "1e309"},
    {"Retry_After": "-1"},
    {"Retry_After": "Fri, 31 Dec 9999 23:59:59 GMT"},
    {"Date": "Fri, 31 Dec 9999 23:59:59 GMT"},
    {"Date": "Mon, 01 Jan 0001 00:00:00 -0000"},
    {"Date": "²"},
    {"Set_Cookie": 'a=b; Expires=never; Domain="; Path=/' + "x" * 2000},
    {"X_Long": "x" * 7000},
    {"Warning": '299 - "you are not well"'},
    {"Link": "<http://[::bad/>; rel=next"},
    {"Upgrade": "websocket", "Connection": "Upgrade"},
    {"Connection": "close"},
)  # fmt: skip
PATIENCE_S = 3.0
DRIP_S = 0.02


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return {}


def _bytes(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode(errors="surrogatepass")


async def _mutated(proxy: HostileProxy, request: Request, line: Line) -> bool:
    answer = await proxy.ask(request)
    body = _bytes(hostile.mutated(proxy.rng, _json(answer.body), changes=4))
    await line.whole(answer.status, body, **answer.headers)
    return True


async def _another_status(proxy: HostileProxy, request: Request, line: Line) -> bool:
    answer, status = await proxy.ask(request), proxy.rng.choice(STATUSES)
    reason = {"kind": "Status", "reason": hostile.value(proxy.rng), "code": status}
    body = proxy.rng.choice((answer.body, _bytes(reason), b"", b"<html>"))
    more = proxy.rng.choice(({}, {"Location": proxy.trap}, {"Location": "http://[::bad/"}))
    await line.whole(status, body, **(answer.headers | more))
    return status not in {204, 304}


async def _another_header(proxy: HostileProxy, request: Request, line: Line) -> bool:
    answer, more = await proxy.ask(request), proxy.rng.choice(HEADERS)
    await line.whole(answer.status, answer.body, **(answer.headers | more))
    return True


async def _elsewhere(proxy: HostileProxy, request: Request, line: Line) -> bool:
    status = proxy.rng.choice((301, 302, 303, 307, 308))
    await line.whole(status, b"", Location=proxy.trap + request.target.lstrip("/"))
    return True


async def _only_half(proxy: HostileProxy, request: Request, line: Line) -> bool:
    answer = await proxy.ask(request)
    half = answer.body[: proxy.rng.randrange(len(answer.body) + 1)]
    if proxy.rng.randrange(2):
        await line.whole(answer.status, half, **answer.headers)
        return True
    await line.head(answer.status, Content_Length=str(len(answer.body) + 10))
    await line.send(half)
    return False


async def _no_http(proxy: HostileProxy, _: Request, line: Line) -> bool:
    await line.send(
        proxy.rng.choice(
            (
                b"\x00" * 100,
                b"SSH-2.0-x\r\n\r\n",
                b"HTTP/9.9 200 x\r\n\r\n",
                b"HTTP/1.1 two x\r\n\r\n",
                b"HTTP/1.1 200 x\r\nContent-Length: -5\r\n\r\n",
                b"HTTP/1.1 200 x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
                b"HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n{}\r\n",
                b"HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n{}\r\n",
                b"HTTP/1.1 200 x\r\n: \r\n \r\n\r\n{}",
                b"HTTP/1.1 200 x\r\n" + b"A: b\r\n" * 50_000 + b"\r\n",
                b"HTTP/1.1 100 x\r\n\r\n" * 1000,
                b"HTTP/1.1 101 x\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n{}",
                proxy.rng.randbytes(500),
            )
        )
    )
    return False


async def _huge(proxy: HostileProxy, _: Request, line: Line) -> bool:
    """Tens of megabytes that are, or begin like, JSON."""
    await line.head(200, Content_Type="application/json", Transfer_Encoding="chunked")
    begin, unit = proxy.rng.choice(
        ((b'{"a":"', b"x" * 65_536), (b'{"items":[', b"[]," * 20_000), (b'{"a":', b"[" * 65_536))
    )
    await line.chunk(begin)
    for _ in range(proxy.rng.choice((20, 50, 500))):
        await line.chunk(unit)
    return False


@functools.cache
def _bomb(size: int) -> bytes:
    return gzip.compress(b'{"a":"' + b"x" * size + b'"}', 1)


async def _packed(proxy: HostileProxy, _: Request, line: Line) -> bool:
    await line.whole(200, _bomb(proxy.rng.choice((1000, 50_000_000))), Content_Encoding="gzip")
    return True


async def _drips(proxy: HostileProxy, request: Request, line: Line) -> bool:
    answer = await proxy.ask(request)
    await line.head(answer.status, Content_Length=str(len(answer.body)))
    for number in range(min(len(answer.body), int(PATIENCE_S / DRIP_S))):
        await line.send(answer.body[number : number + 1])
        await asyncio.sleep(DRIP_S)
    return False


async def _silent(proxy: HostileProxy, _: Request, line: Line) -> bool:
    if proxy.rng.randrange(2):
        await line.head(200, Transfer_Encoding="chunked")
    await asyncio.sleep(proxy.rng.uniform(0, PATIENCE_S))
    return False


async def _done_but_not_said(proxy: HostileProxy, request: Request, _: Line) -> bool:
    """The write is made; nobody is told."""
    await proxy.ask(request)
    return False


async def _an_earlier_answer(proxy: HostileProxy, _: Request, line: Line) -> bool:
    await line.whole(200, proxy.rng.choice(proxy.earlier or [b"{}"]))
    return True


async def _hostile_list(proxy: HostileProxy, request: Request, line: Line) -> bool:
    """A list with hostile grants in it."""
    answer = await proxy.ask(request)
    page = _json(answer.body)
    items = list(page.get("items") or ())
    for _ in range(proxy.rng.choice((10, 50, 200))):
        items.append(proxy.grant())
        await asyncio.sleep(0)
    page["items"] = items
    await line.whole(200, _bytes(page), **answer.headers)
    return True


async def _list_without_end(_: HostileProxy, __: Request, line: Line) -> bool:
    page = {"kind": "List", "items": [{}], "metadata": {"resourceVersion": "1", "continue": "x"}}
    await line.whole(200, _bytes(page))
    return True


async def _odd_certificate(proxy: HostileProxy, _: Request, line: Line) -> bool:
    """What an answer to a request for a certificate may hold."""
    text = proxy.rng.choice(
        ("hello", "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n")
    )
    held = proxy.rng.choice((base64.b64encode(text.encode()).decode(), "?", 7, [text]))
    rows = proxy.rng.choice(([], [1], {"type": "Denied"}, [{"type": "Denied", "message": [1]}]))
    status = {"certificate": held, "conditions": rows}
    await line.whole(200, _bytes({"kind": "CertificateSigningRequest", "status": status}))
    return True


ANSWERS: Mapping[str, Spoil] = {
    "mutated": _mutated,
    "mutated more often": _mutated,
    "another status": _another_status,
    "another header": _another_header,
    "redirected": _elsewhere,
    "only half": _only_half,
    "no HTTP": _no_http,
    "huge": _huge,
    "packed": _packed,
    "drips": _drips,
    "silent": _silent,
    "done but not said": _done_but_not_said,
    "an earlier answer": _an_earlier_answer,
    "odd certificate": _odd_certificate,
}


LISTS: Mapping[str, Spoil] = {
    **{f"hostile list {number}": _hostile_list for number in range(3 * len(ANSWERS))},
    "list without end": _list_without_end,
    **ANSWERS,
}
"""Most with grants in them: who gets none asks ever less often."""


# ---- watches ----------------------------------------------------------------------------------


async def _begin(proxy: HostileProxy, line: Line) -> None:
    """Begin a watch, mostly with a good word: who hears only bad ones asks less and less often."""
    await line.head(200, Content_Type="application/json", Transfer_Encoding="chunked")
    if proxy.rng.randrange(4):
        good = {"metadata": {"resourceVersion": proxy.version}}
        await line.chunk(_bytes({"type": "BOOKMARK", "object": good}) + b"\n")


async def _events(proxy: HostileProxy, _: Request, line: Line) -> bool:
    """Hostile grants, coming and going, and events that are none."""
    await _begin(proxy, line)
    for _ in range(proxy.rng.choice((20, 100, 500))):
        kind = proxy.rng.choice(("ADDED", "ADDED", "ADDED", "MODIFIED", "DELETED"))
        event: Any = {"type": kind, "object": proxy.grant()}
        if proxy.rng.randrange(60) == 0:
            event = hostile.mutated(proxy.rng, event, changes=2)
        await line.chunk(_bytes(event) + b"\n")
        await asyncio.sleep(0)
    return False


async def _errors(proxy: HostileProxy, _: Request, line: Line) -> bool:
    await _begin(proxy, line)
    code = proxy.rng.choice((410, 410, 500, "410", None, [], 10**30))
    told = {"code": code, "reason": hostile.value(proxy.rng), "message": hostile.deep(500)}
    await line.chunk(_bytes({"type": "ERROR", "object": told}) + b"\n")
    return False


async def _bookmarks(proxy: HostileProxy, _: Request, line: Line) -> bool:
    await _begin(proxy, line)
    for version in ("²", "-1", "1" * 5000, "x" * 100_000, "9" * 30, "a&watch=0", "\u0000"):
        meta = {"resourceVersion": version, "uid": "u", "name": "n"}
        await line.chunk(_bytes({"type": "BOOKMARK", "object": {"metadata": meta}}) + b"\n")
    return False


async def _line_without_end(proxy: HostileProxy, _: Request, line: Line) -> bool:
    await _begin(proxy, line)
    if proxy.rng.randrange(2):
        for _ in range(40):
            await line.chunk(b"x" * 100_000)
        return False
    for _ in range(int(PATIENCE_S / DRIP_S)):
        await line.chunk(b'{"a":"')
        await asyncio.sleep(DRIP_S)
    return False


async def _mutated_events(proxy: HostileProxy, request: Request, line: Line) -> bool:
    await _begin(proxy, line)
    async with asyncio.timeout(PATIENCE_S):
        async for row in proxy.lines(request):
            event = _json(row)
            spoilt = hostile.mutated(proxy.rng, event, changes=2) if proxy.is_spoilt() else event
            await line.chunk(_bytes(spoilt) + b"\n")
    return False


async def _only_empty_lines(proxy: HostileProxy, _: Request, line: Line) -> bool:
    await _begin(proxy, line)
    for _ in range(int(PATIENCE_S / DRIP_S)):
        await line.chunk(b"\n")
        await asyncio.sleep(DRIP_S)
    return False


async def _ends_at_once(proxy: HostileProxy, _: Request, line: Line) -> bool:
    await _begin(proxy, line)
    await line.send(b"0\r\n\r\n")
    return True


WATCHES: Mapping[str, Spoil] = {
    **{f"hostile events {number}": _events for number in range(24)},
    "error events": _errors,
    "odd bookmarks": _bookmarks,
    "a line without end": _line_without_end,
    "mutated events": _mutated_events,
    "only empty lines": _only_empty_lines,
    "ends at once": _ends_at_once,
    "watch that is no HTTP": _no_http,
    "watch with another status": _another_status,
    "huge watch": _huge,
    "packed watch": _packed,
}
