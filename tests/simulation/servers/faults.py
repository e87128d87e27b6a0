"""``FaultyCluster``: another cluster behind a network that loses, delays, repeats and cuts.

All of it is honest: an answer that comes is the server's own. What never comes, comes twice or comes
when nobody waits for it any more is what a real network does.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from hansa.api.kinds import AIJOB, WORKGRANT
from hansa.errors import Conflict, Gone, HansaError, Retryable
from hansa.ports import Manifest, Page, WatchEvent
from tests.simulation.loop import Process, pause
from tests.simulation.servers.apiserver import MemCluster

PATIENCE_S = 30.0
"""A client gives a request up after so long."""
DEAF_S = 120.0
"""A client gives a watch up after so long without a byte."""
Log = Callable[[str], None]
DECISIONS = (f"/{AIJOB.plural}", f"/{WORKGRANT.plural}")


@dataclass(slots=True)
class Rates:
    """How often which fault happens, for each request or event."""

    lost: float = 0.0
    """Never arrives; the client hears at once."""
    unanswered: float = 0.0
    """Done, and the answer lost."""
    hung: float = 0.0
    """Never arrives; the client waits until its patience ends."""
    late: float = 0.0
    """Arrives after the client has given it up."""
    busy: float = 0.0
    """429."""
    conflict: float = 0.0
    """409 to a write with a precondition."""
    gone: float = 0.0
    """410 to a watch."""
    swallowed: float = 0.0
    """A watch event that nobody hears of."""
    lag_s: float = 0.0
    """Watch events come up to so late."""


@dataclass(frozen=True, slots=True)
class Stall:
    """What a program has decided, and for how long it then stalls before the request leaves."""

    verbs: frozenset[str]
    seconds: float
    on_end: Callable[[], object] = lambda: None
    """What happens as it ends, before the request leaves."""

    def holds_up(self, verb: str, path: str) -> bool:
        """Tell whether a request is one of those meant, about a job or a grant."""
        return verb in self.verbs and any(kind in path for kind in DECISIONS)


@dataclass(slots=True)
class Line:
    """The way from one program to one server, over all of that program's lives."""

    name: str
    rng: np.random.Generator
    log: Log
    rates: Rates = field(default_factory=Rates)
    there_until_s: float = 0.0
    """Requests are lost until then."""
    back_until_s: float = 0.0
    """Answers and events are lost until then."""
    writes: int = 0
    kill_at: dict[int, str] = field(default_factory=dict)
    """Number of a write → ``before`` or ``after`` it the program is killed."""

    stall: Stall | None = None
    """Comes with the next request that it holds up: once."""

    def stalls(self, verb: str, path: str) -> Stall | None:
        """Return what holds this request up; None: nothing does."""
        stall = self.stall
        if stall is None or not stall.holds_up(verb, path):
            return None
        self.stall = None
        self.log(f"{self.name} stalls before {verb} {path}")
        return stall

    def fate(self, *, conflicts: bool) -> str:
        """Draw what becomes of a request; empty: nothing."""
        draw, rates = self.rng.random(), self.rates
        for name, rate in (
            ("lost", rates.lost),
            ("unanswered", rates.unanswered),
            ("hung", rates.hung),
            ("late", rates.late),
            ("busy", rates.busy),
        ):
            draw -= rate
            if draw < 0:
                return name
        return "conflict" if conflicts and draw < rates.conflict else ""


class FaultyCluster:
    """One process's client of one server; has what the processes use of ``KubeCluster``."""

    server = namespace = ""

    def __init__(self, to: MemCluster, line: Line, process: Process) -> None:
        self._to = to
        self._line = line
        self._process = process
        self._heard_s: float | None = None
        self.namespace = "hansa-system"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return

    async def close(self) -> None:
        return

    @property
    def server_time_skew_s(self) -> float | None:
        if self._heard_s is None:
            return None
        return self._to.clock.now() - self._process.clock.now()

    async def get(self, path: str) -> Manifest:
        return await self._call("get", path, lambda: self._to.get(path))

    async def list(self, path: str, *, labels: str = "", fields: str = "") -> Page:
        return await self._call(
            "list", path, lambda: self._to.list(path, labels=labels, fields=fields)
        )

    async def pages(self, path: str, *, labels: str = "", fields: str = "") -> AsyncIterator[Page]:
        yield await self.list(path, labels=labels, fields=fields)

    async def create(self, path: str, body: Manifest) -> Manifest:
        return await self._call("create", path, lambda: self._to.create(path, body), body)

    async def replace(self, path: str, body: Manifest) -> Manifest:
        return await self._call("replace", path, lambda: self._to.replace(path, body), body)

    async def apply(self, path: str, body: Manifest, *, manager: str) -> Manifest:
        return await self._call(
            "apply", path, lambda: self._to.apply(path, body, manager=manager), body
        )

    async def merge(self, path: str, body: Manifest) -> Manifest:
        return await self._call("merge", path, lambda: self._to.merge(path, body), body)

    async def delete(self, path: str, *, uid: str = "") -> None:
        await self._call("delete", path, lambda: self._to.delete(path, uid=uid), {})

    async def text(self, path: str, query: Mapping[str, str]) -> str:
        return await self._call("text", path, lambda: self._to.text(path, query))

    async def watch(
        self, path: str, resource_version: str, *, labels: str = "", fields: str = ""
    ) -> AsyncIterator[WatchEvent]:
        await self._call("watch", path, self._nothing)
        if self._line.rng.random() < self._line.rates.gone:
            raise Gone("410 Expired: by the story")
        stream = self._to.watch(path, resource_version, labels=labels, fields=fields)
        try:
            async for event in stream:
                await self._travel()
                if (
                    event.type == "BOOKMARK"
                    or self._line.rng.random() >= self._line.rates.swallowed
                ):
                    yield event
                else:
                    self._line.log(f"swallowed {event.type} {event.object['metadata']['name']}")
        finally:
            await stream.aclose()

    async def _nothing(self) -> None:
        return

    async def _travel(self) -> None:
        """Let an event take its time; one that a cut line eats breaks the watch, late."""
        loop, line = asyncio.get_running_loop(), self._line
        if line.rates.lag_s:
            await pause(line.rng.random() * line.rates.lag_s)
        await self._process.awake()
        if loop.time() < line.back_until_s:
            await pause(min(DEAF_S, line.back_until_s - loop.time()))
            raise Retryable("the watch broke")
        self._check_alive()

    def _check_alive(self) -> None:
        if self._process.dead:
            raise asyncio.CancelledError

    async def _call(
        self,
        verb: str,
        path: str,
        act: Callable[[], Coroutine[Any, Any, Any]],
        body: Manifest | None = None,
    ) -> Any:
        self._check_alive()
        line, loop = self._line, asyncio.get_running_loop()
        if stall := line.stalls(verb, path):
            self._process.stall(stall.seconds, stall.on_end)
        await self._process.awake()
        self._check_alive()
        plan = self._plan(body)
        if plan == "before":
            await self._process.die()
        fate = line.fate(conflicts=_has_precondition(body))
        if loop.time() < line.there_until_s:
            fate = "hung"
        if fate:
            await self._before(fate, act)
        await pause(0.001 + 0.009 * line.rng.random())
        self._check_alive()
        outcome, error = None, None
        try:
            outcome = await act()
        except HansaError as refused:
            error = refused
        self._tell(verb, path, body, error)
        if plan == "after":
            await self._process.die()
        await pause(0.001 + 0.009 * line.rng.random())
        await self._process.awake()
        if fate or loop.time() < line.back_until_s:
            await self._after(fate)
        self._check_alive()
        self._heard_s = loop.time()
        if error is not None:
            raise error
        return outcome

    def _plan(self, body: Manifest | None) -> str:
        if body is None:
            return ""
        self._line.writes += 1
        return self._line.kill_at.pop(self._line.writes, "")

    async def _before(self, fate: str, act: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        if fate == "late":
            # Not a task of the process: its death does not call back what is under way.
            asyncio.get_running_loop().call_later(
                PATIENCE_S + 20 * self._line.rng.random(), _arrive, act, self._line.log
            )
        if fate in ("hung", "late"):
            await pause(PATIENCE_S)
            raise Retryable("no answer")
        if fate == "lost":
            raise Retryable("connection refused")
        if fate == "busy":
            raise Retryable("429 TooManyRequests", after_s=1.0)
        if fate == "conflict":
            raise Conflict("409 Conflict: by the story")

    async def _after(self, fate: str) -> None:
        if asyncio.get_running_loop().time() < self._line.back_until_s:
            await pause(PATIENCE_S)
            raise Retryable("no answer")
        if fate == "unanswered":
            raise Retryable("connection reset")

    def _tell(self, verb: str, path: str, body: Manifest | None, error: HansaError | None) -> None:
        if body is not None:
            why = f" {type(error).__name__}" if error else ""
            self._line.log(f"{self._line.name} {verb} {path}{why}")


def _arrive(act: Callable[[], Coroutine[Any, Any, Any]], log: Log) -> None:
    """Do what a request says that its client has given up; the server answers nobody, at once."""
    try:
        act().send(None)
    except StopIteration:
        log("a late request was done")
    except HansaError as error:
        log(f"a late request was refused: {type(error).__name__}")


def _has_precondition(body: Manifest | None) -> bool:
    return bool(body and (body.get("metadata") or {}).get("resourceVersion"))
