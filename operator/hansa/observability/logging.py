"""Logs as one JSON object a line, set up in one place for Hansa and the libraries alike.

Code logs an event name and key-values: ``log.info("granted", extra={"job": uid, "node": name})``.
"""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from typing import Any, TextIO

import orjson

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_KOPF_INTERNALS = frozenset({"settings", "k8s_skip", "k8s_ref"})
"""What kopf hangs on every record for its own use: a page of settings a line."""
_CHATTY = ("kopf.objects", "kopf.activities")
"""Loggers that tell of every handled event; Hansa logs what it did about them."""


class JsonFormatter(logging.Formatter):
    """Renders a record and its ``extra`` key-values."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line of JSON; values JSON does not know are shown as text."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        line.update((k, v) for k, v in vars(record).items() if k not in _STANDARD | _KOPF_INTERNALS)
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def configure_logging(*, level: str = "INFO", stream: TextIO | None = None) -> None:
    """Send every log of the process to ``stream`` (stderr) as JSON lines."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
