"""Requests and watch events by their kind, so that one run's can be found again in the next.

Names that differ from run to run (uids, runs, grants) are left out; how often a kind has been seen
tells its instances apart.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.apiserver.fuzz.proxy import Request

VERBS = {"POST": "create", "PUT": "replace", "DELETE": "delete"}
WRITES = frozenset({"create", "replace", "merge", "apply", "delete"})
_NAMES = (
    (re.compile(r"/aij-[0-9a-f]+-e(\d+)"), r"/aij-*"),
    (re.compile(r"/[0-9a-f]{8}-[0-9a-f-]{27}-e(\d+)"), r"/*"),
    (re.compile(r"/(work|hold)-\d+"), r"/\1"),
    (re.compile(r"(/events)/.*"), r"\1/*"),
)
_OF_A_PAGE = {"limit", "continue", "watch", "allowWatchBookmarks", "resourceVersion"}
_OF_A_PAGE |= {"timeoutSeconds", "timeout", "resourceVersionMatch"}
_LIFE = ("/leases", "/events", "/selfsubjectreviews", "/tokenreviews")


@dataclass(frozen=True, slots=True, order=True)
class Call:
    """A kind of request: on which line, what is done, and to what."""

    line: str
    verb: str
    path: str

    def __str__(self) -> str:
        return f"{self.line} {self.verb} {self.path}"

    @property
    def is_write(self) -> bool:
        return self.verb in WRITES

    @property
    def is_sign_of_life(self) -> bool:
        """Tell whether it is written for as long as the program lives, whatever there is to do."""
        return any(part in self.path for part in _LIFE)


@dataclass(frozen=True, slots=True, order=True)
class Nth:
    """The nth instance of a kind of request or event, counted from 1."""

    what: Call
    number: int

    def __str__(self) -> str:
        return f"{self.what} #{self.number}"


class Seen:
    """Waits for one instance."""

    def __init__(self, nth: Nth) -> None:
        self._nth, self._count = nth, 0

    def is_it(self, call: Call) -> bool:
        """Count a call in; tell whether it is the one."""
        if call != self._nth.what:
            return False
        self._count += 1
        return self._count == self._nth.number


def call_of(line: str, request: Request) -> Call:
    """Return what kind of request it is."""
    parts = urlsplit(request.target)
    query = dict(parse_qsl(parts.query))
    return Call(line, _verb(request, query), plain(parts.path))


def _verb(request: Request, query: dict[str, str]) -> str:
    if query.get("dryRun"):
        return "try"
    if request.method == "PATCH":
        return "apply" if "apply-patch" in request.headers.get("Content-Type", "") else "merge"
    if request.method == "GET":
        return "watch" if is_watch(request) else "get"
    return VERBS[request.method]


def is_watch(request: Request) -> bool:
    """Tell whether it is one: kopf and we spell it differently."""
    return request.method == "GET" and bool(re.search(r"[?&]watch=(1|true)", request.target))


def plain(path: str) -> str:
    """Return a path without the names that differ from run to run."""
    for pattern, instead in _NAMES:
        path = pattern.sub(instead, path)
    return path


def collection_of(request: Request) -> str:
    """Return which collection is listed or watched, with what selectors: alike for both."""
    parts = urlsplit(request.target)
    chosen = sorted((k, v) for k, v in parse_qsl(parts.query) if k not in _OF_A_PAGE)
    return f"{parts.path} {chosen}"


def event_of(line: str, path: str, row: bytes) -> tuple[Call, dict[str, Any]]:
    """Return what kind of event a watch's line is, and the whole of it."""
    event = json.loads(row)
    return Call(line, event["type"], path), event


class Book:
    """What was asked and heard, since it was last opened anew."""

    def __init__(self) -> None:
        self.calls: Counter[Call] = Counter()
        self.events: Counter[Call] = Counter()
        self.last_write = ""
        self.news = 0
        """Writes so far that are no signs of life; never goes back."""

    def open_anew(self) -> None:
        self.calls, self.events = Counter(), Counter()

    def copy(self) -> tuple[Counter[Call], Counter[Call]]:
        """Return the counts of calls and events."""
        return self.calls.copy(), self.events.copy()

    def note(self, call: Call) -> None:
        self.calls[call] += 1
        if call.is_write and not call.is_sign_of_life:
            self.news += 1
            self.last_write = str(call)
