"""Logs as one JSON object a line, set up in one place for Hansa and the libraries alike.

Code logs an event name and key-values: ``log.info("granted", extra={"job": uid, "node": name})``.
"""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TextIO

import orjson

MOST_TEXT = 8192
"""Characters of one value: others write what errors quote."""
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_KOPF_INTERNALS = frozenset({"settings", "k8s_skip", "k8s_ref"})
"""What kopf hangs on every record for its own use: a page of settings a line."""
_CHATTY = ("kopf.objects", "kopf.activities")
"""Loggers that tell of every handled event; Hansa logs what it did about them."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """How often the same thing may be logged: ``burst`` times at once, then ``per_second``."""

    per_second: float = 1.0
    burst: int = 200


class Repetitions(logging.Filter):
    """Passes over what is said too often, and says with the next how much that was.

    The same is what has the same words before its values are put in. The number of different words is
    bounded by dropping all counts: a flood of them cannot fill the memory either.
    """

    MOST_REMEMBERED = 1000

    def __init__(self, allowance: Allowance) -> None:
        """``allowance`` is each saying's own."""
        super().__init__()
        self._allowance = allowance
        self._said: dict[tuple[str, str], tuple[float, float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether a record may be written."""
        key, most = (record.name, str(record.msg)[:100]), float(self._allowance.burst)
        left, last_s, omitted = self._said.get(key, (most, record.created, 0))
        gained = max(0.0, record.created - last_s) * self._allowance.per_second
        left = min(most, left + gained)
        if len(self._said) >= self.MOST_REMEMBERED:
            self._said.clear()
        if left < 1.0:
            self._said[key] = (left, record.created, omitted + 1)
            return False
        self._said[key] = (left - 1.0, record.created, 0)
        if omitted:
            record.omitted = omitted
        return True


class JsonFormatter(logging.Formatter):
    """Renders a record and its ``extra`` key-values."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line of JSON; values JSON does not know are shown as text."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage()[:MOST_TEXT],
        }
        line.update(
            (key, value[:MOST_TEXT] if isinstance(value, str) else value)
            for key, value in vars(record).items()
            if key not in _STANDARD | _KOPF_INTERNALS
        )
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)[-MOST_TEXT:]
        return orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def configure_logging(
    *, level: str = "INFO", stream: TextIO | None = None, allowance: Allowance | None = None
) -> None:
    """Send every log of the process to ``stream`` (stderr) as JSON lines.

    ``allowance``: for a process whom others can make say the same without end.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter())
    if allowance is not None:
        handler.addFilter(Repetitions(allowance))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
