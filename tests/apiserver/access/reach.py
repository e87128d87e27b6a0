"""Everything one can ask an API server for, taken from its own discovery, and asked for in earnest.

Authorisation comes before the body is read and before the verb is looked up, so a request that means
nothing (``patch pods/exec``) still answers 403 to whoever lacks the right, and something else to
whoever has it. The answer's message names verb, resource and namespace: a 403 about something else
than what was meant does not count.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

import aiohttp

from hansa.adapters.kube.client import MERGE, KubeCluster
from hansa.adapters.kube.config import Connection
from hansa.adapters.kube.credentials import Credentials
from tests.apiserver.hub.league import CLOCK

FORBIDDEN = 403
DRY = "dryRun=All"
METHODS = {
    "get": ("GET", ""),
    "list": ("GET", ""),
    "watch": ("GET", "watch=true&timeoutSeconds=1"),
    "create": ("POST", DRY),
    "update": ("PUT", DRY),
    "patch": ("PATCH", DRY),
    "delete": ("DELETE", DRY),
    "deletecollection": ("DELETE", DRY),
}
"""Verb of RBAC → method and query."""
ON_COLLECTIONS = frozenset({"list", "watch", "create", "deletecollection"})
CONCURRENT = 16


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource or sub-resource, in one version."""

    group: str
    version: str
    name: str
    """``pods`` or ``pods/exec``."""
    namespaced: bool

    @property
    def full_name(self) -> str:
        """As RBAC and the tables of the tests write it."""
        return f"{self.group or 'core'}/{self.name}"

    def path(self, namespace: str, thing: str) -> str:
        """Return the path; ``thing`` empty: of the collection."""
        root = f"/apis/{self.group}" if self.group else "/api"
        inside = f"/namespaces/{namespace}" if namespace else ""
        plural, _, sub = self.name.partition("/")
        parts = (f"{root}/{self.version}{inside}", plural, thing, sub)
        return "/".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request."""

    verb: str
    resource: Resource
    namespace: str
    """Empty: all namespaces, or the resource has none."""
    thing: str
    """Empty: the collection."""

    @property
    def means(self) -> str:
        """What the API server must have understood, in the words of its refusal."""
        return f'cannot {self.verb} resource "{self.resource.name}" in API group "{self.resource.group}"'

    @property
    def key(self) -> tuple[str, str, str, str]:
        """For comparison with a table; versions of one resource are one."""
        return self.namespace, self.resource.full_name, self.verb, self.thing


def attempts(
    resources: Iterable[Resource], namespaces: Iterable[str], things: Iterable[str]
) -> Iterator[Attempt]:
    """Yield every verb on every resource: in each namespace, and over the whole cluster."""
    places, things = tuple(namespaces), tuple(things)
    for resource, verb in itertools.product(resources, METHODS):
        inside = ("", *places) if resource.namespaced else ("",)
        is_sub = "/" in resource.name
        for place in inside:
            if verb in ON_COLLECTIONS and not is_sub:
                yield Attempt(verb, resource, place, "")
            elif _can_be_asked(verb, place, resource, is_sub=is_sub):
                yield from (Attempt(verb, resource, place, thing) for thing in things)


def _can_be_asked(verb: str, place: str, resource: Resource, *, is_sub: bool) -> bool:
    """Tell what has a URL: a name needs its namespace, and below a name nothing is a collection."""
    if resource.namespaced and not place:
        return False
    return not is_sub or verb not in {"list", "watch", "deletecollection"}


async def discover(cluster: KubeCluster) -> list[Resource]:
    """Return all the server serves, every version of it."""
    groups = (await cluster.get("/apis"))["groups"]
    served = [(group["name"], v["version"]) for group in groups for v in group["versions"]]
    found = []
    for group, version in [("", "v1"), *served]:
        listed = await cluster.get(f"/apis/{group}/{version}" if group else "/api/v1")
        found += [
            Resource(group, version, row["name"], row["namespaced"]) for row in listed["resources"]
        ]
    return found


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    message: str


class Asker:
    """Sends raw requests as one identity over connections that stay open."""

    def __init__(self, connection: Connection) -> None:
        self._server = connection.server
        self._credentials = Credentials(connection, clock=CLOCK)
        self._room = asyncio.Semaphore(CONCURRENT)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(limit=CONCURRENT, ssl=self._credentials.tls)
        self._session = aiohttp.ClientSession(connector=connector)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._session is not None
        await self._session.close()

    async def ask(self, method: str, path: str, **headers: str) -> Answer:
        """Send one request; writes carry an empty object."""
        assert self._session is not None
        kind = {"Content-Type": MERGE if method == "PATCH" else "application/json"}
        kind |= self._credentials.headers
        body = b"{}" if method in {"POST", "PUT", "PATCH"} else None
        async with (
            self._room,
            self._session.request(
                method, self._server + path, data=body, headers=kind | headers
            ) as got,
        ):
            return Answer(got.status, await got.text())

    async def all(self, wanted: Iterable[Attempt]) -> dict[Attempt, Answer]:
        """Send them all."""
        wanted = list(wanted)
        answers = await asyncio.gather(*map(self._attempt, wanted))
        return dict(zip(wanted, answers, strict=True))

    async def _attempt(self, attempt: Attempt) -> Answer:
        method, query = METHODS[attempt.verb]
        path = attempt.resource.path(attempt.namespace, attempt.thing)
        return await self.ask(method, f"{path}?{query}" if query else path)


def let_through(answers: dict[Attempt, Answer]) -> set[tuple[str, str, str, str]]:
    """Return the keys of what was not refused with the 403 that was meant."""
    return {
        attempt.key
        for attempt, answer in answers.items()
        if answer.status != FORBIDDEN or attempt.means not in _unquoted(answer.message)
    }


def tally(answers: dict[Attempt, Answer]) -> Counter[int]:
    """Count answers by status."""
    return Counter(answer.status for answer in answers.values())


def _unquoted(message: str) -> str:
    """Undo JSON's quoting of quotes."""
    return message.replace('\\"', '"')
