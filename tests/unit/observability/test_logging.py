"""One line of JSON a log record."""

import io
import json
import logging

import pytest

from hansa.observability.logging import MOST_TEXT, Allowance, Repetitions, configure_logging


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


def test_what_is_said_without_end_is_counted_instead():
    allowed = Repetitions(Allowance(per_second=1.0, burst=3))
    log = logging.getLogger("x")

    def said(at_s, what="grant %s refused", *values):
        record = log.makeRecord("x", logging.INFO, "f", 1, what, values, None)
        record.created = at_s
        return allowed.filter(record), getattr(record, "omitted", 0)

    assert [said(0.0, "grant %s refused", n)[0] for n in range(6)] == [True] * 3 + [False] * 3
    assert said(0.0, "something else") == (True, 0)
    assert said(1.0) == (True, 3)
    assert said(1.0) == (False, 0)
    assert said(60.0) == (True, 1)


def test_the_count_of_sayings_is_bounded():
    allowed = Repetitions(Allowance())
    for number in range(5000):
        allowed.filter(
            logging.makeLogRecord({"name": "x", "msg": f"word {number}", "created": 0.0})
        )
    assert len(allowed._said) <= Repetitions.MOST_REMEMBERED


def test_a_value_is_cut(lines):
    logging.getLogger("x").info("told", extra={"error": "y" * 100_000})
    (line,) = lines()
    assert line["error"] == "y" * MOST_TEXT
