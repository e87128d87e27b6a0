"""Kept logs in one Secret: what is put in comes out, what has had its time goes, and nothing grows beyond it."""

from __future__ import annotations

import base64
import zlib
from typing import Any

import numpy as np
import pytest

from hansa.reconcile.member.logs import kept_log
from hansa.reconcile.member.logs.kept_log import MOST_BYTES, MOST_LOGS, KeptLog

NOW_S = 1_800_000_000.0
NOISE = np.random.default_rng(3).bytes(kept_log.MOST_KEPT_BYTES)
"""A log that nothing compresses."""


def kept(run: str = "aij-a-e1", *, text: bytes = b"one\ntwo\n", until_s: float = NOW_S + 60):
    return KeptLog(run, "hospital", ("cohort",), 100, text, until_s)


def holding(*logs: KeptLog) -> dict[str, Any]:
    secret: dict[str, Any] = {"data": {}}
    for log in logs:
        put(secret, log)
    return secret


def put(secret: dict[str, Any], log: KeptLog, now_s: float = NOW_S) -> None:
    """As the API server merges."""
    changed = secret["data"] | kept_log.addition(secret, log, now_s)["data"]
    secret["data"] = {key: value for key, value in changed.items() if value is not None}


LOGS = {
    "text": kept(),
    "none": kept(text=b""),
    "no text": kept(text=b"\xff\n\x00"),
    "as long as may be, and incompressible": kept(text=NOISE),
}


@pytest.mark.parametrize("case", LOGS)
def test_what_is_kept_is_read_again(case):
    secret = holding(LOGS[case])

    assert kept_log.read(secret, "aij-a-e1", NOW_S) == LOGS[case]
    assert size(secret) <= MOST_BYTES


def size(secret: dict[str, Any]) -> int:
    return sum(len(base64.b64decode(value)) for value in secret["data"].values())


def test_room_is_made_by_what_ends_first():
    first, second = kept("a", text=NOISE, until_s=NOW_S + 9), kept("b", text=NOISE[::-1])
    secret = holding(kept("c"), first)

    put(secret, second)

    assert kept_log.runs_in(secret, NOW_S) == {"b", "c"}
    assert size(secret) <= MOST_BYTES


def test_there_are_never_too_many():
    secret = holding(*(kept(f"r{n}", until_s=NOW_S + n + 1) for n in range(MOST_LOGS + 2)))

    assert kept_log.runs_in(secret, NOW_S) == {f"r{n}" for n in range(2, MOST_LOGS + 2)}


def test_a_log_that_is_told_twice_is_kept_once():
    secret = holding(kept(), kept(text=b"anew", until_s=NOW_S + 90))

    assert len(secret["data"]) == 1
    assert kept_log.read(secret, "aij-a-e1", NOW_S) == kept(text=b"anew", until_s=NOW_S + 90)


# What stands in the Secret, when, whose runs are wanted; whether it is read, how many keys go.
ENDS: dict[str, tuple[dict[str, str] | None, float, set[str], bool, int]] = {
    "in time": (None, 59, {"aij-a-e1"}, True, 0),
    "its time is over": (None, 60, {"aij-a-e1"}, False, 1),
    "its job is gone": (None, 1, set(), True, 1),
    "a key that is none of ours": ({"note": "eA=="}, 1, {"note"}, False, 1),
    "no base64": ({"aij-a-e1.1800000060": "%"}, 1, {"aij-a-e1"}, False, 0),
    "not compressed": ({"aij-a-e1.1800000060": "eA=="}, 1, {"aij-a-e1"}, False, 0),
    "no facts": (
        {"aij-a-e1.1800000060": base64.b64encode(zlib.compress(b"[]\nx")).decode()},
        1,
        {"aij-a-e1"},
        False,
        0,
    ),
}


@pytest.mark.parametrize("case", ENDS)
def test_how_long(case):
    data, after_s, wanted, is_read, gone = ENDS[case]
    secret = holding(kept()) if data is None else {"data": data}

    assert (kept_log.read(secret, "aij-a-e1", NOW_S + after_s) is not None) is is_read
    patch = kept_log.removal(secret, NOW_S + after_s, wanted)
    assert len(patch["data"] if patch else ()) == gone


def test_a_bomb_is_not_unpacked():
    facts = b'{"institution":"a","datasets":[],"start":0}\n'
    packed = zlib.compress(facts + b"0" * (64 << 20), 9)
    secret = {"data": {"aij-a-e1.1800000060": base64.b64encode(packed).decode()}}

    found = kept_log.read(secret, "aij-a-e1", NOW_S)

    assert found is not None
    assert len(found.text) < 600_000


PIECES = {
    "its beginning": (100, 100, "one\ntwo\n", "Ended"),
    "before it": (0, 100, "one\ntwo\n", "Ended"),
    "in the middle": (104, 104, "two\n", "Ended"),
    "behind it": (999, 108, "", "Ended"),
}


@pytest.mark.parametrize("case", PIECES)
def test_pieces(case):
    asked, start, text, state = PIECES[case]

    piece = kept().piece(asked)

    assert (piece.start, piece.text, piece.state) == (start, text, state)


def test_pieces_join_without_gap_and_only_the_last_ends_it():
    whole = "".join(f"line {n} õ\n" for n in range(9000)).encode()
    log, place, read, states = kept(text=whole), 100, b"", []
    while not states or states[-1] == "Open":
        piece = log.piece(place)
        assert piece.start == place
        read += piece.text.encode()
        place = 100 + len(read)
        states.append(piece.state)

    assert read == whole
    assert set(states[:-1]) == {"Open"}


def test_every_run_has_its_secret():
    places = kept_log.paths("hansa-system")

    assert {kept_log.path("hansa-system", f"aij-{n}-e1") for n in range(200)} == set(places)
