"""One line of JSON a log record."""

import io
import json
import logging

import pytest

from hansa.observability.logging import configure_logging


@pytest.fixture
def lines():
    root = logging.getLogger()
    before = root.handlers[:], root.level
    stream = io.StringIO()
    configure_logging(level="info", stream=stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers[:], root.level = before


def test_key_values_are_fields(lines):
    logging.getLogger("hansa.hub").info("granted", extra={"job": "u-1", "what": {1, 2}})
    (line,) = lines()
    assert (line["event"], line["job"], line["logger"]) == ("granted", "u-1", "hansa.hub")
    assert line["level"] == "info"


def test_an_exception_stays_on_one_line(lines):
    try:
        int("no\nway")
    except ValueError:
        logging.getLogger("x").exception("broke")
    (line,) = lines()
    assert "ValueError: invalid literal" in line["error"]


def test_debug_is_off(lines):
    logging.getLogger("x").debug("chatter")
    assert lines() == []
