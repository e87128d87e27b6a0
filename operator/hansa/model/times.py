"""RFC 3339 timestamps to and from seconds since the Unix epoch, without reading any clock."""

from __future__ import annotations

from datetime import UTC, datetime


def rfc3339(seconds: float) -> str:
    """Return ``seconds`` as a timestamp in UTC, to the second.

    >>> rfc3339(0)
    '1970-01-01T00:00:00Z'
    """
    return datetime.fromtimestamp(int(seconds), tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def rfc3339_micro(seconds: float) -> str:
    """Return ``seconds`` as ``metav1.MicroTime``, the type of a Lease's times.

    >>> rfc3339_micro(0.5)
    '1970-01-01T00:00:00.500000Z'
    """
    return datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def from_rfc3339(text: object) -> float | None:
    """Return seconds since the epoch, or None when ``text`` is not a timestamp.

    >>> from_rfc3339("1970-01-01T00:00:01.5Z")
    1.5
    """
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
