"""RFC 3339 timestamps to and from seconds since the Unix epoch, without reading any clock.

Hubs, members and owners must read one text as one moment, or as none. Python also takes week dates, days of the
year, commas and times without a zone: here is the only place where it reads one, and it is given none of those.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from hansa.api.group import TIME

_TIME = re.compile(TIME)


def rfc3339(seconds: float) -> str:
    """Return ``seconds`` as a timestamp in UTC, to the second.

    >>> rfc3339(0)
    '1970-01-01T00:00:00Z'
    """
    return _spelt(datetime.fromtimestamp(int(seconds), tz=UTC), "seconds")


def rfc3339_micro(seconds: float) -> str:
    """Return ``seconds`` as ``metav1.MicroTime``, the type of a Lease's times.

    >>> rfc3339_micro(0.5)
    '1970-01-01T00:00:00.500000Z'
    """
    return _spelt(datetime.fromtimestamp(seconds, tz=UTC), "microseconds")


def _spelt(time: datetime, precision: str) -> str:
    """Return it to a precision; ``strftime`` takes four times as long."""
    return f"{time.replace(tzinfo=None).isoformat(timespec=precision)}Z"


def from_rfc3339(text: object) -> float | None:
    """Return seconds since the epoch, or None when ``text`` is no timestamp with a zone.

    >>> from_rfc3339("1970-01-01T00:00:01.5Z"), from_rfc3339("1970-01-01T00:00:01")
    (1.5, None)
    """
    if not isinstance(text, str) or not _TIME.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        return None
