"""A hub that has turned: it stands before a real API server and spoils what that answers.

It speaks HTTP by itself, byte by byte, for what no server framework would send. What is spoilt and how
comes from one ``Random``; ``share`` says how much of it, and 0 is a hub as it should be.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp

from e2e.testbed.cluster.controlplane import ControlPlane
from hansa.ports import Manifest
from tests.hostile import Random

HEAD_BYTES = 1 << 16
PASSED_ON = ("Content-Type", "Accept")


@dataclass(frozen=True, slots=True)
class Request:
    """What the agent asked."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def is_watch(self) -> bool:
        return "watch=1" in self.target

    @property
    def is_list(self) -> bool:
        return self.method == "GET" and "limit=" in self.target


@dataclass(frozen=True, slots=True)
class Answer:
    """What the real API server said."""

    status: int
    headers: dict[str, str]
    body: bytes


class Line:
    """The agent's end of one connection, to be written to as badly as one likes."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    async def send(self, *parts: bytes) -> None:
        """Send bytes as they are."""
        for part in parts:
            self._writer.write(part)
        await self._writer.drain()

    async def head(self, status: int, **headers: str) -> None:
        """Send a status line and headers; underscores stand for dashes."""
        rows = "".join(f"{name.replace('_', '-')}: {text}\r\n" for name, text in headers.items())
        await self.send(f"HTTP/1.1 {status} x\r\n{rows}\r\n".encode())

    async def whole(self, status: int, body: bytes, **headers: str) -> None:
        """Send a whole answer."""
        kind = {"Content_Type": "application/json"}
        await self.head(status, **(kind | headers | {"Content_Length": str(len(body))}))
        await self.send(body)

    async def chunk(self, data: bytes) -> None:
        """Send a part of an answer that has no length."""
        await self.send(b"%x\r\n%b\r\n" % (len(data), data))


Spoil = Callable[["HostileProxy", Request, Line], Any]


class HostileProxy:
    """Serves at one address until it is closed."""

    def __init__(
        self, plane: ControlPlane, rng: Random, make_grant: Callable[[Random], Manifest]
    ) -> None:
        """``make_grant`` returns a hostile grant as the API server would show it."""
        self.plane = plane
        self.rng = rng
        self.share = 0.0
        self.how: dict[str, Spoil] = {}
        self.how_listed: dict[str, Spoil] = {}
        self.how_watched: dict[str, Spoil] = {}
        self.told: Counter[str] = Counter()
        """What was done, by its name; ``answers`` counts all."""
        self.grants = 0
        """Hostile grants sent."""
        self.trapped = 0
        """Requests at an address that nobody but a redirect names."""
        self.earlier: list[bytes] = []
        self.version = "0"
        """Of the last real list."""
        self._make_grant = make_grant
        self._tasks: set[asyncio.Task[None]] = set()
        self._servers: list[asyncio.Server] = []
        self.trap = ""

    async def open(self, port: int) -> None:
        """Listen with a certificate that the hub's authority has signed."""
        held = self.plane.server_ca.issue_server("turned", ["127.0.0.1"])
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(held.cert, held.key)
        trust = ssl.create_default_context(cafile=str(self.plane.ca_path))
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=trust, limit=0), auto_decompress=False
        )
        self._servers = [
            await asyncio.start_server(self._accept, "127.0.0.1", port, ssl=tls, limit=HEAD_BYTES),
            await asyncio.start_server(self._trap, "127.0.0.1", 0),
        ]
        self.trap = f"http://127.0.0.1:{self._servers[1].sockets[0].getsockname()[1]}/"

    async def close(self) -> None:
        """Hang up and stop listening."""
        for server in self._servers:
            server.close()
        await self.hang_up()
        await self._session.close()

    async def hang_up(self) -> None:
        """Break every connection: what comes next meets the present ``share``."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def turn(self, share: float) -> None:
        """Change what share of the answers is spoilt."""
        self.share = share
        await self.hang_up()

    def grant(self) -> Manifest:
        """Return a hostile grant, counted."""
        self.grants += 1
        return self._make_grant(self.rng)

    def is_spoilt(self) -> bool:
        """Draw whether the next thing is."""
        return self.rng.random() < self.share

    # ---- upstream --------------------------------------------------------------------------

    async def ask(self, request: Request) -> Answer:
        """Ask the real API server; a watch has no answer that would be whole."""
        if request.is_watch:
            return Answer(200, {}, b'{"kind": "Status"}')
        async with self._upstream(request) as got:
            body = await got.read()
            kind = got.headers.get("Content-Type", "application/json")
            dated = {"Content_Type": kind, "Date": got.headers.get("Date", "")}
            answer = Answer(got.status, dated, body)
        self.earlier = [*self.earlier[-20:], body[: 1 << 16]]
        if request.is_list and got.ok:
            self.version = json.loads(body)["metadata"]["resourceVersion"]
        return answer

    @contextlib.asynccontextmanager
    async def _upstream(self, request: Request) -> AsyncIterator[aiohttp.ClientResponse]:
        headers = {name: request.headers[name] for name in PASSED_ON if name in request.headers}
        headers["Authorization"] = f"Bearer {self.plane.admin_token}"
        url = self.plane.url + request.target
        async with self._session.request(
            request.method, url, data=request.body or None, headers=headers, allow_redirects=False
        ) as got:
            yield got

    async def lines(self, request: Request) -> AsyncIterator[bytes]:
        """Yield the lines of a real watch."""
        async with self._upstream(request) as got:
            while line := await got.content.readline():
                yield line

    # ---- downstream ------------------------------------------------------------------------

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _trap(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.trapped += 1
        writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = Line(writer)
        try:
            while True:
                request = await read_request(reader)
                if not await self._answer(request, line):
                    return
        except (
            OSError,
            TimeoutError,
            asyncio.IncompleteReadError,
            aiohttp.ClientError,
            ValueError,
        ):
            return
        finally:
            writer.transport.abort()

    async def _answer(self, request: Request, line: Line) -> bool:
        """Answer one request; False: the connection is of no more use."""
        self.told["answers"] += 1
        if self.is_spoilt():
            table = self.how_listed if request.is_list else self.how
            table = self.how_watched if request.is_watch else table
            name = self.rng.choice(sorted(table))
            self.told[name] += 1
            return bool(await table[name](self, request, line))
        if request.is_watch:
            # Also an honest watch of a turned hub is cut soon: something else is to come.
            async with asyncio.timeout(None if self.share == 0 else self.rng.uniform(0, 2)):
                return await pass_watch(self, request, line)
        answer = await self.ask(request)
        await line.whole(answer.status, answer.body, **answer.headers)
        return True


async def pass_watch(proxy: HostileProxy, request: Request, line: Line) -> bool:
    """Pass a watch on as it is."""
    await line.head(200, Content_Type="application/json", Transfer_Encoding="chunked")
    async for row in proxy.lines(request):
        await line.chunk(row)
    return False


async def read_request(reader: asyncio.StreamReader) -> Request:
    """Read one request, byte by byte as it is."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _ = head[0].split(" ", 2)
    pairs = (row.split(": ", 1) for row in head[1:] if ": " in row)
    headers = {name.title(): text for name, text in pairs}
    body = await reader.readexactly(int(headers.get("Content-Length", "0")))
    return Request(method, target, headers, body)
