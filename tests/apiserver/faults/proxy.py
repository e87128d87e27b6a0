"""A line: the way from one program to one real API server, over loopback, to be disturbed.

It takes plain HTTP on a port of its own and asks the API server over TLS, as the node that the program's token
names or as the user given. Of everything that passes it keeps count in the book.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import aiohttp

from e2e.testbed.cluster.controlplane import ControlPlane
from tests.apiserver.faults.calls import Book, Call, call_of, collection_of, event_of, is_watch
from tests.apiserver.fuzz.proxy import HEAD_BYTES, Answer, Line, Request, read_request

JSON = "application/json"
EXPIRED = b'{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"by the plan"}}\n'
WATCHED = {"Content_Type": JSON, "Transfer_Encoding": "chunked", "Connection": "close"}
LAST_CHUNK = b"0\r\n\r\n"
LONGEST_ROW = 16 << 20
WATCH_S, WATCH_ENDS = 2, re.compile(r"timeoutSeconds=\d+")
"""The server ends each watch after so long, in seconds: then what was not heard is listed, if it is time."""


class Cut(Exception):
    """The connection breaks here."""


class Undisturbed:
    """What a plan does to what passes: nothing. Plans override it."""

    async def call(self, way: Way, call: Call) -> Answer:  # noqa: ARG002  # plans look at it
        """Answer one request; raises ``Cut``."""
        return await way.go()

    def heard(self, call: Call) -> bool:  # noqa: ARG002  # plans look at it
        """Tell whether a watch's event is passed on."""
        return True

    def expires(self, call: Call) -> bool:  # noqa: ARG002  # plans look at it
        """Tell whether a watch is told that its version is too old."""
        return False


@dataclass(slots=True, eq=False)
class Connection:
    """One connection of a program."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    task: asyncio.Task[None]
    dead: bool = False
    """Half-open: no byte passes in either direction any more, and nobody is told."""


@dataclass(slots=True)
class Way:
    """One request on its way."""

    line: FaultLine
    request: Request

    async def go(self) -> Answer:
        """Have the real API server do it."""
        async with self.line.upstream(self.request) as got:
            headers = {"Content_Type": got.headers.get("Content-Type", JSON)}
            headers |= {"Date": got.headers["Date"]} if "Date" in got.headers else {}
            return Answer(got.status, headers, await got.read())


@dataclass(eq=False)
class FaultLine:
    """Serves at one port until it is closed."""

    name: str
    """``program>server``."""
    plane: ControlPlane
    book: Book
    user: str = ""
    """As whom its program asks, with an admin's rights. Empty: as the token says that it brings."""
    plan: Undisturbed = field(default_factory=Undisturbed)
    port: int = 0
    refused: bool = True
    """Its program is dead, or it is cut so that everybody knows."""
    there: asyncio.Event = field(default_factory=asyncio.Event)
    back: asyncio.Event = field(default_factory=asyncio.Event)
    """Requests, or answers, pass while set."""
    followed: dict[str, Request] = field(default_factory=dict)
    """Collections that are followed by list and watch → how they are listed."""
    frozen: dict[str, Answer] | None = None
    """Followed collections as they were, and will seem to be until the line thaws."""
    thawed: asyncio.Event = field(default_factory=asyncio.Event)
    _lists: dict[str, Request] = field(default_factory=dict)
    _open: set[Connection] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def open(self) -> None:
        """Listen."""
        trust = ssl.create_default_context(cafile=str(self.plane.ca_path))
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=trust, limit=0), auto_decompress=False
        )
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=HEAD_BYTES)
        self.port = self._server.sockets[0].getsockname()[1]
        self.mend()

    async def close(self) -> None:
        """Hang up and stop listening."""
        self._server.close()
        self.hang_up()
        tasks = [one.task for one in self._open]
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._session.close()

    # ---- what can be done to it ------------------------------------------------------------

    def hang_up(self) -> None:
        """Break every connection."""
        for one in list(self._open):
            one.task.cancel()

    def mend(self) -> None:
        """Let everything pass again; what is half-open stays so."""
        self.there.set()
        self.back.set()
        self.thaw()

    def half_open(self) -> None:
        """Kill what is open now, silently: its ends learn of it by waiting in vain."""
        for one in self._open:
            one.dead = True

    async def freeze(self) -> None:
        """Let followed collections seem to stand still from now on."""
        self.thawed.clear()
        asked = list(self.followed.items())
        found = await asyncio.gather(*(Way(self, request).go() for _, request in asked))
        self.frozen = {key: answer for (key, _), answer in zip(asked, found, strict=True)}

    def thaw(self) -> None:
        """Let them move again; whoever watched has to ask anew."""
        self.frozen = None
        self.thawed.set()

    # ---- upstream --------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def upstream(self, request: Request) -> AsyncIterator[aiohttp.ClientResponse]:
        """Ask the real API server."""
        names = ("Content-Type", "Accept", "User-Agent", "Authorization")
        headers = {name: request.headers[name] for name in names if name in request.headers}
        headers["Accept-Encoding"] = "identity"
        if self.user:
            headers["Authorization"] = f"Bearer {self.plane.admin_token}"
            headers["Impersonate-User"] = self.user
            headers["Impersonate-Group"] = "system:masters"
        async with self._session.request(
            request.method,
            self.plane.url + WATCH_ENDS.sub(f"timeoutSeconds={WATCH_S}", request.target),
            data=request.body or None,
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=None),
            allow_redirects=False,
        ) as got:
            yield got

    # ---- downstream ------------------------------------------------------------------------

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        one = Connection(reader, writer, task)
        self._open.add(one)
        task.add_done_callback(lambda _: self._gone(one))

    def _gone(self, one: Connection) -> None:
        self._open.discard(one)
        one.writer.transport.abort()
        if not one.task.cancelled():
            one.task.exception()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0)  # it is among the open ones now
        (one,) = (one for one in self._open if one.writer is writer)
        while not self.refused:
            request = await read_request(reader)
            await self._pass(one, self.there)
            await self._answer(one, request)

    async def _pass(self, one: Connection, gate: asyncio.Event) -> None:
        await gate.wait()
        if one.dead:
            await one.reader.read()  # until its program has given it up
        if one.dead or self.refused:
            raise Cut

    async def _answer(self, one: Connection, request: Request) -> None:
        call = call_of(self.name, request)
        self.book.note(call)
        if is_watch(request):
            await self._watch(one, request, call)
            raise Cut
        key = collection_of(request)
        if request.method == "GET":
            self._lists[key] = request
        if self.frozen is not None and request.method == "GET" and key in self.frozen:
            answer = self.frozen[key]
        else:
            answer = await self.plan.call(Way(self, request), call)
        await self._pass(one, self.back)
        await Line(one.writer).whole(answer.status, answer.body, **answer.headers)

    async def _watch(self, one: Connection, request: Request, call: Call) -> None:
        key = collection_of(request)
        if key in self._lists:
            self.followed[key] = self._lists[key]
        me = asyncio.current_task()
        assert me is not None
        left = asyncio.get_running_loop().create_task(one.reader.read(1))
        left.add_done_callback(lambda _: me.cancel())
        try:
            if self.frozen is not None:
                await Line(one.writer).head(200, **WATCHED)
                await self.thawed.wait()
                raise Cut
            async with self.upstream(request) as got:
                await self._events(one, got, call)
        finally:
            left.cancel()

    async def _events(self, one: Connection, got: aiohttp.ClientResponse, call: Call) -> None:
        line = Line(one.writer)
        if got.status != 200:
            await line.whole(got.status, await got.read(), Content_Type=JSON, Connection="close")
            return
        await line.head(200, **WATCHED)
        if self.plan.expires(call):
            await line.chunk(EXPIRED)
            await line.send(LAST_CHUNK)
            return
        while row := await got.content.readuntil(b"\n", max_size=LONGEST_ROW):
            event, _ = event_of(self.name, call.path, row)
            if self.frozen is not None:
                await self.thawed.wait()
                raise Cut
            self.book.events[event] += 1
            if not self.plan.heard(event):
                continue
            await self.back.wait()
            if one.dead:
                await asyncio.Event().wait()  # until its program has given it up
            await line.chunk(row)
        await line.send(LAST_CHUNK)
