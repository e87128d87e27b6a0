"""What an API server answered, turned into values and errors. Nothing here trusts the server.

A proxy, a captive portal or a broken hub may answer HTML, half a JSON document or gigabytes; all of
that is ``Retryable``: it says nothing about the request.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from hansa.errors import Conflict, Gone, HansaError, NotFound, Retryable, Terminal, TooLarge
from hansa.ports import Clock, Manifest, Page, WatchEvent

LONGEST_TOKEN = 4096
"""A resourceVersion has some ten characters, a continue token some hundred; both go into addresses."""
MAX_RETRY_AFTER_S = 60.0
_EVENT_TYPES = ("ADDED", "MODIFIED", "DELETED", "BOOKMARK")
"""No set: what a server sends in their place need not be hashable."""
RETRYABLE_STATUSES = frozenset({407, 408, 425, 429})
"""407 is a proxy's; what it keeps back says nothing about the request."""
REDIRECTS = range(300, 400)
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
        except (ValueError, TypeError, OverflowError, OSError):
            return
        # The header is cut to the second, hence the half.
        self.skew_s = server + 0.5 - (sent + self._clock.now()) / 2


def error_of(status: int, body: bytes, headers: Mapping[str, str]) -> HansaError:
    """Return the error an HTTP status stands for, with the server's own message."""
    return _error(status, _status_words(_json_or_none(body), body), headers)


def _error(status: int, words: tuple[str, str], headers: Mapping[str, str]) -> HansaError:
    reason, message = words
    if status in REDIRECTS:
        where = headers.get("Location", "nowhere")[:200]
        return Retryable(f"{status}: a redirect to {where}, which is no API server's answer")
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
    if items is None and _text(value.get("kind")).endswith("List"):
        items = []
    if not isinstance(items, list) or not isinstance(meta, dict):
        kind = _word(value.get("kind"))
        raise Retryable(f"the API server answered a {kind} where a list was asked")
    version, more = _text(meta.get("resourceVersion")), _text(meta.get("continue"))
    if max(len(version), len(more)) > LONGEST_TOKEN:
        raise Retryable(
            "the API server answered a list whose resourceVersion or continue is no token"
        )
    return Page([item for item in items if is_object(item)], version), more


def parse_event(line: bytes) -> WatchEvent:
    """Return one watch event; an ERROR event becomes the error it carries."""
    value = parse_object(line)
    kind, thing = value.get("type"), value.get("object")
    if kind == "ERROR" and isinstance(thing, dict):
        code = thing.get("code")
        status = code if isinstance(code, int) else SERVER_ERRORS
        raise _error(status, _status_words(thing, b""), {})
    if not isinstance(thing, dict) or kind not in _EVENT_TYPES or not _fits(kind, thing):
        raise Retryable(
            f"the API server sent a watch event of type {_word(kind)} without an object"
        )
    return WatchEvent(kind, thing)


def _fits(kind: str, thing: Manifest) -> bool:
    return is_object(thing, named=kind != "BOOKMARK")


def is_object(value: Any, *, named: bool = True) -> bool:
    """Tell whether ``value`` has the metadata every Kubernetes object has."""
    meta = value.get("metadata") if isinstance(value, dict) else None
    version = meta.get("resourceVersion") if isinstance(meta, dict) else None
    if not isinstance(meta, dict) or not isinstance(version, str) or len(version) > LONGEST_TOKEN:
        return False
    return not named or (isinstance(meta.get("name"), str) and isinstance(meta.get("uid"), str))


async def split_lines(chunks: AsyncIterator[bytes], limit: int) -> AsyncIterator[bytes]:
    """Yield the non-empty lines of a stream; raises ``TooLarge`` for one longer than ``limit``.

    Linear in what was sent, also where it comes byte by byte.
    """
    parts: list[bytes] = []
    length = 0
    async for chunk in chunks:
        first, *more = chunk.split(b"\n")
        for ended in more:
            if line := b"".join((*parts, first)):
                yield line
            parts, length, first = [], 0, ended
        parts.append(first)
        length += len(first)
        if length > limit:
            raise TooLarge(f"a watch event is larger than {limit} bytes", after_s=30.0)
    if line := b"".join(parts):
        yield line


def _json(data: bytes) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        start = data[:80].decode(errors="replace")
        raise Retryable(f"the API server answered no JSON but {start!r}") from error


def _json_or_none(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def _status_words(value: Any, body: bytes) -> tuple[str, str]:
    if not isinstance(value, dict):
        return "Error", body[:200].decode(errors="replace")
    return _text(value.get("reason"))[:63] or "Error", _text(value.get("message"))[:1000]


def _text(value: Any) -> str:
    """Return a text as it is, and nothing for what is none: a server may nest it without end."""
    return value if isinstance(value, str) else ""


def _word(value: Any) -> str:
    return repr(value[:63]) if isinstance(value, str) else type(value).__name__


def _retry_after(headers: Mapping[str, str]) -> float:
    try:
        return min(MAX_RETRY_AFTER_S, max(0.1, float(headers.get("Retry-After", "1"))))
    except ValueError:
        return 1.0
