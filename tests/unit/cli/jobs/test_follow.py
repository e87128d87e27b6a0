"""A reader shows each byte of a log once, counts what it missed, and asks for the next piece in time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click
import pytest

from hansa.api.job.log_window import WINDOW_BYTES
from hansa.cli.jobs import follow as following
from hansa.cli.jobs.follow import ANSWER_S, RENEW_S, SILENCE_S, STANDS_S, Reader, Step, step
from hansa.cli.jobs.logs import read_place
from hansa.errors import Retryable, Terminal
from hansa.model.log_request import LogRequest
from hansa.model.times import rfc3339

NOW_S = 1_800_000_000.0
WELL = {"conditions": [{"type": "Succeeded", "status": "True"}]}


def job(start: int | None = None, text: str = "", *, epoch: int = 1, **status: Any):
    log = {} if start is None else {"log": {"epoch": epoch, "start": start, "text": text}}
    return {"status": {"node": "tartu", "epoch": 1} | log | status}


def at(position: int, *, asked: int | None = None, until_s: float = STANDS_S) -> Reader:
    start = position if asked is None else asked
    return Reader(1, position, LogRequest(NOW_S + until_s, 1, start), NOW_S, is_answered=True)


NOWHERE = "it holds no node yet; `kubectl hansa explain` says why"
# Reader, job; then what is shown, what is said, from which byte is asked (None: not now).
STEPS: dict[str, Any] = {
    "first look": (Reader(), job(), "", "run 1, at tartu", 0),
    "going on": (Reader(position=9), job(), "", "run 1, at tartu", 9),
    "going on with its run": (Reader(1, 9), job(), "", "run 1, at tartu", 9),
    "going on with an earlier run": (Reader(2, 9), job(), "", "run 1, at tartu", 0),
    "not placed": (Reader(), {"status": {}}, "", NOWHERE, None),
    "no status": (Reader(), {}, "", NOWHERE, None),
    "not placed, and told": (Reader(is_told=True), {"status": {}}, "", "", None),
    "what is new": (at(3), job(0, "onetwo"), "two", "", None),
    "nothing new": (at(6), job(0, "onetwo"), "", "", None),
    "whole characters": (at(2), job(0, "õõ"), "õ", "", None),
    "half a piece": (at(0), job(0, "x" * (WINDOW_BYTES // 2)), "x" * 8192, "", 8192),
    "another reader's piece, further on": (at(3), job(5, "z"), "", "", 3),
    "another reader's piece, further back": (at(30), job(5, "z"), "", "", 30),
    "running out": (at(3, until_s=RENEW_S - 1), job(3), "", "", 3),
    "an earlier run's piece": (at(3), job(0, "onetwo", epoch=7), "", "", None),
}


@pytest.mark.parametrize("case", STEPS)
def test_a_look(case):
    reader, seen, text, note, start = STEPS[case]

    done = step(reader, seen, NOW_S)

    assert (done.text, done.note) == (text, note)
    assert (done.request.start if done.request else None) == start
    assert not done.is_over


def test_another_run_begins_at_its_beginning():
    seen = job(0, "anew", epoch=2)
    seen["status"]["epoch"] = 2

    done = step(at(300), seen, NOW_S)

    assert (done.text, done.note) == ("anew", "run 2, at tartu")
    assert done.request == LogRequest(NOW_S + STANDS_S, 2, 4)


ENDS: dict[str, Any] = {
    "followed": (at(3), {"start": 0, "text": "onetwo"}, "two", "", False),
    "with a gap": (at(3), {"start": 10, "text": "two"}, "two", "7 bytes of the log", False),
    "shown already": (at(6), {"start": 0, "text": "onetwo"}, "", "", False),
    "by nobody": (at(3), None, "", "", True),
}


@pytest.mark.parametrize("case", ENDS)
def test_the_end(case):
    reader, log, text, note, needs_tail = ENDS[case]
    told = {"log": log | {"epoch": 1, "state": "Ended"}} if log else {}

    done = step(reader, job(**WELL, **told), NOW_S)

    assert (done.text, done.is_over, done.needs_tail) == (text, True, needs_tail)
    assert note in done.note
    assert done.request is None


def kept(start: int, end: int, *, left_s: float = 60.0) -> dict[str, Any]:
    return {"keptLog": {"start": start, "end": end, "until": rfc3339(NOW_S + left_s)}}


ENDED = {"epoch": 1, "start": 0, "text": "onetwo", "state": "Ended"}
# Reader, what is kept, the piece there is; what is shown, what is said, from where is asked (None: it is over).
KEPT: dict[str, Any] = {
    "from its beginning": (Reader(), kept(0, 6), None, "", "run 1", 0),
    "from a byte": (Reader(position=3), kept(0, 6), None, "", "run 1", 3),
    "all of it is shown": (at(3), kept(0, 6), ENDED, "two", "", None),
    "behind its end": (at(9), kept(0, 6), None, "", "", None),
    "another reader's end": (at(3, asked=0), kept(0, 26), ENDED | {"start": 20}, "", "", 3),
    "its beginning is not kept": (Reader(position=3), kept(9, 20), None, "", "the first 6 bytes", 9),
    "the next piece": (at(0), kept(0, 99_999), {"epoch": 1, "start": 0, "text": "x" * 16_384},
                       "x" * 16_384, "", 16_384),
}  # fmt: skip


@pytest.mark.parametrize("case", KEPT)
def test_after_the_end_the_rest_is_asked_for_and_shown(case):
    reader, keeps, log, text, note, start = KEPT[case]

    done = step(reader, job(**WELL, **keeps, **({"log": log} if log else {})), NOW_S)

    assert (done.text, done.is_over, done.needs_tail) == (text, start is None, False)
    assert note in done.note
    assert (done.request.start if done.request else None) == start


def test_what_is_kept_no_longer_is_not_asked_for():
    done = step(at(3), job(**WELL, **kept(0, 99, left_s=-1)), NOW_S)

    assert (done.is_over, done.needs_tail, done.request) == (True, True, None)


def test_a_member_that_does_not_answer_after_the_end_is_not_waited_for_forever():
    seen, reader = job(**WELL, **kept(0, 99, left_s=9999)), at(3)
    reader = replace(reader, heard_s=NOW_S - 9000)
    looks = []
    for second in range(0, 90, 10):
        looks.append(step(reader, seen, NOW_S + second))
        reader = looks[-1].reader

    assert [look.is_over for look in looks].index(True) * 10 == ANSWER_S + 10
    assert "96 bytes more" in looks[-1].note
    assert looks[-1].needs_tail


def test_a_namesake_is_another_job():
    reader = step(at(3), job() | {"metadata": {"uid": "one"}}, NOW_S).reader

    with pytest.raises(Terminal, match="another of its name"):
        step(reader, job(0, "onetwo") | {"metadata": {"uid": "two"}}, NOW_S)


class Server:
    """Answers what it is told to, a look at a time."""

    def __init__(self, *answers: Any):
        self.answers = list(answers)

    async def get(self, _: str) -> Any:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def merge(self, *_: Any) -> Any:
        return {}


SEEN = job(0, "one\n") | {"metadata": {"uid": "one"}}
END = job(**WELL, log={"epoch": 1, "start": 0, "text": "one\ntwo\n", "state": "Ended"})


async def test_a_server_that_answers_no_more_is_waited_for(monkeypatch, capsys):
    monkeypatch.setattr(following, "LOOK_S", 0.0)
    server = Server(SEEN, Retryable("gone for a moment"), END | {"metadata": {"uid": "one"}})

    await following.follow(server, "/path", Reader())

    assert capsys.readouterr().out == "one\ntwo\n"


async def test_a_server_that_never_answered_is_an_error():
    with pytest.raises(Retryable):
        await following.follow(Server(Retryable("cannot connect")), "/path", Reader())


PLACES = {"": Reader(), "51200": Reader(0, 51200), "2:7": Reader(2, 7)}


@pytest.mark.parametrize("text", PLACES)
def test_a_place_to_go_on_at(text):
    assert read_place(text) == PLACES[text]


@pytest.mark.parametrize("text", ["-1", "x", "2:", "0:7", "1:2:3", "٣"])
def test_what_is_no_place_is_a_usage_error(text):
    with pytest.raises(click.BadParameter, match="no place"):
        read_place(text)


def test_a_silence_is_explained_once():
    reader = step(Reader(), job(), NOW_S).reader
    looks: list[Step] = []
    for second in range(0, 120, 10):
        looks.append(step(reader, job(), NOW_S + second))
        reader = looks[-1].reader

    told = [second for second, look in zip(range(0, 120, 10), looks, strict=True) if look.note]
    assert told == [SILENCE_S + 10]


def test_a_piece_that_is_none_ends_it_with_a_word():
    with pytest.raises(Terminal, match=r"status\.log"):
        step(at(0), job(log={"epoch": 1, "start": -1}), NOW_S)
