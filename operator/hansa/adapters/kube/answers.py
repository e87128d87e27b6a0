"""What an API server answered, turned into values and errors. Nothing here trusts the server.

A proxy, a captive portal or a broken hub may answer HTML, half a JSON document or gigabytes; all of
that is ``Retryable``: it says nothing about the request.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from hansa.errors import Conflict, Gone, HansaError, NotFound, Retryable, Terminal
from hansa.ports import Clock, Manifest, Page, WatchEvent

MAX_LINE_BYTES = 8 << 20
MAX_RETRY_AFTER_S = 60.0
EVENT_TYPES = frozenset({"ADDED", "MODIFIED", "DELETED", "BOOKMARK"})
RETRYABLE_STATUSES = frozenset({408, 425, 429})
SERVER_ERRORS = 500
CONFLICT, NOT_FOUND, GONE = 409, 404, 410


class ServerTime:
    """The server's clock against ours, from the ``Date`` header of its answers."""

    def __init__(self, clock: Clock) -> None:
        """``skew_s`` stays None until the first answer."""
        self._clock = clock
        self._last = ""
        self.skew_s: float | None = None

    def observe(self, date: str, sent: float) -> None:
        """Take a header into account; ``sent``: our clock when the request left."""
        if not date or date == self._last:
            return
        self._last = date
        try:
            server = parsedate_to_datetime(date).timestamp()
        except (ValueError, TypeError, OverflowError):
            return
        # The header is cut to the second, hence the half.
        self.skew_s = server + 0.5 - (sent + self._clock.now()) / 2


def error_of(status: int, body: bytes, headers: Mapping[str, str]) -> HansaError:
    """Return the error an HTTP status stands for, with the server's own message."""
    reason, message = _status_words(body)
    text = f"{status} {reason}: {message}"
    if status == CONFLICT:
        return Conflict(text)
    if status == NOT_FOUND:
        return NotFound(text)
    if status == GONE:
        return Gone(text)
    if status in RETRYABLE_STATUSES or status >= SERVER_ERRORS:
        return Retryable(text, after_s=_retry_after(headers))
    return Terminal(text, reason=reason, status=status)


def parse_object(data: bytes) -> Manifest:
    """Return the JSON object in ``data``; raises ``Retryable`` for anything else."""
    value = _json(data)
    if not isinstance(value, dict):
        raise Retryable("the API server answered JSON that is not an object")
    return value


def parse_page(data: bytes) -> tuple[Page, str]:
    """Return a list's page and its continue token (empty: last page)."""
    value = parse_object(data)
    items, meta = value.get("items"), value.get("metadata")
    if items is None and str(value.get("kind", "")).endswith("List"):
        items = []
    if not isinstance(items, list) or not isinstance(meta, dict):
        raise Retryable(f"the API server answered a {value.get('kind')!r} where a list was asked")
    good = [item for item in items if is_object(item)]
    return Page(good, str(meta.get("resourceVersion", ""))), str(meta.get("continue") or "")


def parse_event(line: bytes) -> WatchEvent:
    """Return one watch event; an ERROR event becomes the error it carries."""
    value = parse_object(line)
    kind, thing = value.get("type"), value.get("object")
    if kind == "ERROR" and isinstance(thing, dict):
        code = thing.get("code")
        raise error_of(code if isinstance(code, int) else SERVER_ERRORS, orjson.dumps(thing), {})
    if not isinstance(thing, dict) or kind not in EVENT_TYPES or not _fits(kind, thing):
        raise Retryable(f"the API server sent a watch event of type {kind!r} without an object")
    return WatchEvent(kind, thing)


def _fits(kind: str, thing: Manifest) -> bool:
    return is_object(thing, named=kind != "BOOKMARK")


def is_object(value: Any, *, named: bool = True) -> bool:
    """Tell whether ``value`` has the metadata every Kubernetes object has."""
    meta = value.get("metadata") if isinstance(value, dict) else None
    if not isinstance(meta, dict) or not isinstance(meta.get("resourceVersion"), str):
        return False
    return not named or (isinstance(meta.get("name"), str) and isinstance(meta.get("uid"), str))


async def split_lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the non-empty lines of a stream; raises ``Retryable`` for an endless one."""
    rest = b""
    async for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line:
                yield line
        if len(rest) > MAX_LINE_BYTES:
            raise Retryable(f"a watch event is larger than {MAX_LINE_BYTES} bytes", after_s=30.0)
    if rest:
        yield rest


def _json(data: bytes) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        start = data[:80].decode(errors="replace")
        raise Retryable(f"the API server answered no JSON but {start!r}") from error


def _status_words(body: bytes) -> tuple[str, str]:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        value = None
    if not isinstance(value, dict):
        return "Error", body[:200].decode(errors="replace")
    return str(value.get("reason") or "Error")[:63], str(value.get("message") or "")[:1000]


def _retry_after(headers: Mapping[str, str]) -> float:
    try:
        return min(MAX_RETRY_AFTER_S, max(0.1, float(headers.get("Retry-After", "1"))))
    except ValueError:
        return 1.0
