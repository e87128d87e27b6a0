"""``KubeCluster``: the ``Cluster`` port on aiohttp and orjson, raw JSON in and out.

Not the official client: its typed models drop unknown fields and cost most of the CPU of a hub.
Whatever a server answers becomes a value or an error of ``hansa.errors``, never another exception.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self

import aiohttp
import orjson

from hansa.adapters.kube.answers import (
    ServerTime,
    error_of,
    parse_event,
    parse_object,
    parse_page,
    split_lines,
)
from hansa.adapters.kube.config import Connection
from hansa.adapters.kube.credentials import Credentials
from hansa.adapters.kube.sockets import Sockets
from hansa.errors import NotFound, Retryable, Terminal, TooLarge
from hansa.ports import Clock, Manifest, Page, WatchEvent

MAX_TEXT_BYTES = 4 << 20
MERGE = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"
WATCH_TIMEOUT_S = 600
"""The server ends a watch after so long."""
UNAUTHORIZED = 401
ASKS, WITH_PASSWORD = 407, "http://USER:PASSWORD@HOST:PORT"
"""Of a proxy that wants to know who asks; and how it is told."""
NOT_THEIRS = "its certificate is not from the authority that vouches for it; a proxy that opens TLS is refused"
ERRORS_FROM = 300


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is read of what a server answers, in bytes; whatever is longer is an error."""

    answer: int = 64 << 20
    line: int = 8 << 20
    """One watch event."""
    collection: int = 1 << 30
    """All pages of a list together."""
    page_items: int = 500
    """Asked for at once; fewer where their page is longer than an answer may be."""


OWN = Bounds()
"""A server of one's own institution."""
FOREIGN = Bounds(answer=4 << 20, line=2 << 20, collection=32 << 20, page_items=250)
"""Another institution's: it may send what it likes for as long as it likes."""


class KubeCluster:
    """One API server seen by one identity. Close it, or use it as ``async with``."""

    def __init__(
        self,
        connection: Connection,
        *,
        clock: Clock,
        agent: str = "hansa",
        connections: int = 32,
        request_timeout_s: float = 30.0,
        watch_inactivity_s: float = 90.0,
        bounds: Bounds = OWN,
    ) -> None:
        """``agent``: User-Agent and field manager of merges; no I/O until the first request.

        ``watch_inactivity_s``: a watch without any byte for so long is dead. The server sends a
        bookmark every minute, so a half-open connection shows. One that the server does not end in
        time is dead, too: bytes that never make an event keep no watch alive.
        """
        self._connection = connection
        self._clock = clock
        self._agent = agent
        self._connections = connections
        self._timeout = aiohttp.ClientTimeout(total=request_timeout_s)
        self._bounds = bounds
        self._watch_idle = aiohttp.ClientTimeout(
            total=WATCH_TIMEOUT_S + watch_inactivity_s,
            sock_connect=request_timeout_s,
            sock_read=watch_inactivity_s,
        )
        self._credentials: Credentials | None = None
        self._session: aiohttp.ClientSession | None = None
        self._sockets = Sockets()
        self._time = ServerTime(clock)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections, those of cancelled requests too."""
        if self._session is not None:
            await self._session.close()
            self._session = None
        await self._sockets.close()

    @property
    def server(self) -> str:
        """Address of the API server."""
        return self._connection.server

    @property
    def namespace(self) -> str:
        """Namespace of the connection: the pod's own when in a cluster."""
        return self._connection.namespace

    @property
    def server_time_skew_s(self) -> float | None:
        """Server's clock minus ours, to a second or so; None before the first answer."""
        return self._time.skew_s

    async def get(self, path: str) -> Manifest:
        """Return one object."""
        return parse_object(await self._call("GET", path))

    async def list(self, path: str, *, labels: str = "", fields: str = "") -> Page:
        """Return all objects of a collection."""
        items: list[Manifest] = []
        version = ""
        async for page in self.pages(path, labels=labels, fields=fields):
            items += page.items
            version = page.resource_version
        return Page(items, version)

    async def pages(self, path: str, *, labels: str = "", fields: str = "") -> AsyncIterator[Page]:
        """Yield all objects of a collection page by page, each as long as an answer may be.

        A page that is too large is asked for again at half its length, so that nobody's large
        objects keep all others from being read; after small ones the pages grow again. The server makes
        the next page while the last one is read.
        """
        query, read = _selectors(labels, fields), 0
        length = self._bounds.page_items

        def ask() -> asyncio.Task[bytes]:
            wanted = query | {"limit": str(length)}
            return asyncio.create_task(self._call("GET", path, query=wanted))

        answer = ask()
        try:
            while True:
                try:
                    data = await answer
                except TooLarge:
                    if length == 1:
                        raise
                    length //= 2
                    answer = ask()
                    continue
                page, more = parse_page(data)
                read += len(data)
                is_too_much = read > self._bounds.collection
                if more and not is_too_much:
                    query["continue"] = more
                    if len(data) < self._bounds.answer // 4:
                        length = min(self._bounds.page_items, 2 * length)
                    answer = ask()
                yield page
                if not more:
                    return
                if is_too_much:
                    raise TooLarge(
                        f"{path} holds more than {self._bounds.collection} bytes", after_s=30
                    )
        finally:
            answer.cancel()
            await asyncio.gather(answer, return_exceptions=True)

    async def watch(
        self, path: str, resource_version: str, *, labels: str = "", fields: str = ""
    ) -> AsyncIterator[WatchEvent]:
        """Yield events after ``resource_version`` until the server ends the watch."""
        query = _selectors(labels, fields) | {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(WATCH_TIMEOUT_S),
        }
        async with self._open("GET", path, query=query, patience=self._watch_idle) as answer:
            async for line in split_lines(answer.content.iter_any(), self._bounds.line):
                yield parse_event(line)

    async def create(self, path: str, body: Manifest) -> Manifest:
        """POST a new object to its collection."""
        return parse_object(await self._call("POST", path, body=body))

    async def replace(self, path: str, body: Manifest) -> Manifest:
        """PUT an object, or its ``/status``, read at the resourceVersion that ``body`` carries."""
        return parse_object(await self._call("PUT", path, body=body))

    async def apply(self, path: str, body: Manifest, *, manager: str) -> Manifest:
        """Server-side apply (forced) to an object's path, or to its ``/status``."""
        query = {"fieldManager": manager, "force": "true"}
        return parse_object(await self._call("PATCH", path, query=query, body=body, kind=APPLY))

    async def merge(self, path: str, body: Manifest) -> Manifest:
        """JSON merge patch (RFC 7386)."""
        return parse_object(await self._call("PATCH", path, body=body, kind=MERGE))

    async def delete(self, path: str, *, uid: str = "") -> None:
        """Delete in the background; with ``uid``, only that very object. Absent is success."""
        body: Manifest = {"propagationPolicy": "Background"}
        if uid:
            body["preconditions"] = {"uid": uid}
        try:
            await self._call("DELETE", path, body=body)
        except NotFound:
            return

    async def text(self, path: str, query: Mapping[str, str]) -> str:
        """GET a non-JSON sub-resource such as a pod's log."""
        data = await self._call("GET", path, query=query, limit=MAX_TEXT_BYTES)
        return data.decode(errors="replace")

    async def _call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Manifest | None = None,
        kind: str = "application/json",
        limit: int = 0,
    ) -> bytes:
        """``limit``: most bytes of the answer; 0: as many as any answer may have."""
        sent = self._clock.now()
        data = None if body is None else _dumped(body)
        async with self._open(
            method, path, query=query, data=data, kind=kind, patience=self._timeout
        ) as answer:
            self._time.observe(answer.headers.get("Date", ""), sent)
            return await _read(answer, limit or self._bounds.answer)

    @asynccontextmanager
    async def _open(
        self,
        method: str,
        path: str,
        *,
        patience: aiohttp.ClientTimeout,
        query: Mapping[str, str] | None = None,
        data: bytes | None = None,
        kind: str = "",
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        credentials = self._fresh_credentials()
        headers = credentials.headers | ({"Content-Type": kind} if data is not None else {})
        try:
            async with self._open_session().request(
                method,
                self._connection.server + path,
                params=query,
                data=data,
                headers=headers,
                ssl=credentials.tls,
                server_hostname=self._connection.server_name or None,
                proxy=self._connection.proxy or None,
                timeout=patience,
                allow_redirects=False,
            ) as answer:
                if answer.status >= ERRORS_FROM:
                    if answer.status == UNAUTHORIZED:
                        credentials.refresh(force=True)
                    raise error_of(
                        answer.status, await _read(answer, MAX_TEXT_BYTES), answer.headers
                    )
                yield answer
        except aiohttp.ClientConnectorCertificateError as error:
            raise Retryable(f"{self._connection.server}: {NOT_THEIRS}: {error}") from error
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            by = self._connection.proxy.rpartition("@")[2]
            what = f"{method} {self._connection.server}{path}" + (by and f" by the proxy {by}")
            raise Retryable(f"{what}: {_words(error)}") from error

    def _fresh_credentials(self) -> Credentials:
        if self._credentials is None:
            self._credentials = Credentials(self._connection, clock=self._clock)
        else:
            self._credentials.refresh()
        return self._credentials

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            # Compressing costs the server more than the loopback or the LAN saves.
            headers = {"User-Agent": self._agent, "Accept-Encoding": "identity"}
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=self._connections, socket_factory=self._sockets
                ),
                headers=headers | {"Accept": "application/json, */*"},
                cookie_jar=aiohttp.DummyCookieJar(),
                # None was asked for; what comes all the same may be a thousand times as long.
                auto_decompress=False,
            )
        return self._session


def _words(error: Exception) -> str:
    """Return what went wrong below HTTP, without the innards of the library."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"its certificate is not trusted: {error.certificate_error}"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"cannot connect: {error.os_error.strerror or error.os_error}"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, aiohttp.ClientHttpProxyError):
        wants = f": it wants a user and a password, {WITH_PASSWORD}" if error.status == ASKS else ""
        return f"the proxy answers {error.status}{wants or f' {error.message}'}"
    if isinstance(error, aiohttp.ClientResponseError):
        # Its own words hold the address, and a proxy's address its password.
        return "its answer is no HTTP"
    return f"{type(error).__name__}: {error}"


def _selectors(labels: str, fields: str) -> dict[str, str]:
    chosen: dict[str, Any] = {"labelSelector": labels, "fieldSelector": fields}
    return {name: value for name, value in chosen.items() if value}


def _dumped(body: Manifest) -> bytes:
    try:
        return orjson.dumps(body)
    except TypeError as error:  # deeper than it can be written, or no JSON
        raise Terminal(f"this cannot be sent: {error}", reason="NotJson") from error


async def _read(answer: aiohttp.ClientResponse, limit: int) -> bytes:
    chunks = bytearray()
    async for chunk in answer.content.iter_any():
        chunks += chunk
        if len(chunks) > limit:
            answer.close()
            raise TooLarge(f"{answer.url.path}: answer is larger than {limit} bytes", after_s=30.0)
    return bytes(chunks)
