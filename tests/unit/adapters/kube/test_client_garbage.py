"""A server that answers garbage, lags or dies gives errors of the tree and never another exception."""

import asyncio
import contextlib
import gzip
import json
import time

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from e2e.testbed.host.clock import PATIENCE_S
from hansa.adapters.clock import SystemClock
from hansa.adapters.kube.answers import (
    error_of,
    parse_event,
    parse_object,
    parse_page,
    split_lines,
)
from hansa.adapters.kube.client import Bounds, KubeCluster
from hansa.adapters.kube.config import Connection, from_kubeconfig
from hansa.errors import Conflict, Gone, HansaError, NotFound, Retryable, Terminal
from tests.hostile import deep, mutated
from tests.unit.adapters.servers import page_of, serving, thing

ANSWERS = {
    "html": (200, "<html>please log in</html>", Retryable),
    "nothing": (200, "", Retryable),
    "a list": (200, "[]", Retryable),
    "half": (200, '{"kind": "Pod", ', Retryable),
    "redirect": (302, "", Retryable),
    "a proxy that wants to know who asks": (407, "<html>", Retryable),
    "conflict": (409, '{"reason": "Conflict"}', Conflict),
    "missing": (404, "no", NotFound),
    "too old": (410, "{}", Gone),
    "too many": (429, "{}", Retryable),
    "broken": (503, "<html>", Retryable),
    "forbidden": (403, "[]", Terminal),
    "invalid": (422, '{"reason": 7, "message": {}}', Terminal),
}


@pytest.mark.parametrize("case", ANSWERS)
async def test_answers(case):
    status, body, error = ANSWERS[case]

    async def answer(_):
        return web.Response(status=status, text=body)

    async with serving(answer) as cluster:
        with pytest.raises(error):
            await cluster.get("/x")


async def test_a_redirect_says_where_to():
    async def answer(_):
        return web.Response(status=302, headers={"Location": "https://portal.example.org/login"})

    async with serving(answer) as cluster:
        with pytest.raises(Retryable, match=r"302: .*https://portal\.example\.org/login"):
            await cluster.get("/x")


async def test_an_endless_answer_is_cut():
    async def answer(_):
        return web.Response(body=b" " * 5_000_000)

    async with serving(answer, Bounds(answer=1000)) as cluster:
        with pytest.raises(Retryable, match="larger"):
            await cluster.get("/x")


async def test_what_is_packed_is_not_unpacked():
    """A thousandth of what it unpacks to would be under any bound."""

    async def answer(_):
        packed = gzip.compress(b'{"a": "' + b"x" * 10_000_000 + b'"}')
        return web.Response(body=packed, headers={"Content-Encoding": "gzip"})

    async with serving(answer) as cluster:
        with pytest.raises(Retryable, match="no JSON"):
            await cluster.get("/x")


async def test_a_list_without_end_is_given_up():
    async def answer(_):
        return page_of([thing("a" * 100, 1)], more="on")

    async with serving(answer, Bounds(collection=2000)) as cluster, asyncio.timeout(PATIENCE_S):
        with pytest.raises(Retryable, match="more than 2000 bytes"):
            await cluster.list("/x")


async def test_pages_are_made_as_short_as_an_answer_may_be():
    everything, asked = [thing(f"{n}-" + "a" * 100, 1) for n in range(40)], []

    async def answer(request):
        most, begin = int(request.query["limit"]), int(request.query.get("continue", 0))
        asked.append(most)
        end = begin + most
        return page_of(everything[begin:end], str(end) if end < len(everything) else "")

    async with serving(answer, Bounds(answer=2000, page_items=32)) as cluster:
        page = await cluster.list("/x")
    assert page.items == everything
    assert asked[:2] == [32, 16]


async def test_one_object_that_is_too_long_by_itself_is_an_error():
    async def answer(_):
        return page_of([thing("a" * 3000, 1)])

    async with serving(answer, Bounds(answer=2000)) as cluster, asyncio.timeout(PATIENCE_S):
        with pytest.raises(Retryable, match="larger than 2000"):
            await cluster.list("/x")


async def test_what_cannot_be_written_as_json_is_an_error_of_the_tree():
    async with KubeCluster(Connection(server="http://127.0.0.1:1"), clock=SystemClock()) as cluster:
        with pytest.raises(Terminal, match="cannot be sent"):
            await cluster.replace("/x", {"spec": deep(300)})


async def lines_of(chunks, limit=100):
    async def given():
        for chunk in chunks:
            yield chunk

    return [line async for line in split_lines(given(), limit)]


CHUNKS = {
    "whole": ([b"a\nb\n"], [b"a", b"b"]),
    "over a boundary": ([b"a", b"b\nc", b"d"], [b"ab", b"cd"]),
    "empty ones": ([b"\n\n", b"", b"a\n"], [b"a"]),
    "byte by byte": ([b"%c" % c for c in b"ab\ncd"], [b"ab", b"cd"]),
}


@pytest.mark.parametrize(("chunks", "lines"), CHUNKS.values(), ids=CHUNKS)
async def test_lines(chunks, lines):
    assert await lines_of(chunks) == lines


async def test_a_line_that_never_ends_is_cut():
    with pytest.raises(Retryable, match="larger than 100"):
        await lines_of([b"x"] * 200)


async def test_a_line_that_drips_costs_what_it_is_long():
    """Once every byte copied all before it: a megabyte took minutes."""
    began = time.process_time()
    await lines_of([b"x"] * (1 << 20), 2 << 20)
    assert time.process_time() - began < 10


@given(st.randoms(use_true_random=False))
def test_parsers_raise_only_the_tree_on_json(rng):
    event = {"type": "ERROR", "object": {"code": 410, "reason": "Gone", "message": "old"}}
    listed = {"kind": "XList", "metadata": {"resourceVersion": "1"}, "items": [thing("a", 1)]}
    for skeleton in (event, listed, {"type": "ADDED", "object": thing("a", 1)}):
        data = orjson_bytes(mutated(rng, skeleton, changes=2))
        for parse in (parse_object, parse_page, parse_event, lambda d: error_of(500, d, {})):
            with contextlib.suppress(HansaError):
                parse(data)


def orjson_bytes(value):
    """JSON of any depth, as a server may write it."""
    return json.dumps(value).encode()


HEADERS = {
    "year 1": ("Date", "Mon, 01 Jan 0001 00:00:00 -0000"),
    "year 9999": ("Date", "Fri, 31 Dec 9999 23:59:59 -2359"),
    "no date": ("Date", "soon"),
    "retry never": ("Retry-After", "inf"),
    "retry nan": ("Retry-After", "nan"),
    "retry before": ("Retry-After", "-1e309"),
    "retry on a day": ("Retry-After", "Fri, 31 Dec 1999 23:59:59 GMT"),
    "elsewhere": ("Location", "http://[::bad/"),
}


@pytest.mark.parametrize("case", HEADERS.values(), ids=HEADERS)
@pytest.mark.parametrize("status", [200, 307, 429, 599])
async def test_headers(case, status):
    async def answer(_):
        return web.Response(status=status, text="{}", headers=dict([case]))

    async with serving(answer) as cluster:
        with contextlib.suppress(Conflict, Terminal), waiting_at_most_a_minute():
            await cluster.get("/x")


@contextlib.contextmanager
def waiting_at_most_a_minute():
    try:
        yield
    except Retryable as error:
        if not 0.1 <= error.after_s <= 60:
            raise AssertionError(error.after_s) from error


@given(st.binary(max_size=200) | st.text().map(str.encode))
def test_parsers_raise_only_the_tree(data):
    for parse in (parse_object, parse_page, parse_event):
        with contextlib.suppress(HansaError):
            parse(data)


@pytest.mark.parametrize("text", ["", "[]", "a: {", "current-context: x\ncontexts: 3\n"])
def test_a_bad_kubeconfig_is_a_sentence(tmp_path, text):
    (tmp_path / "config").write_text(text)

    with pytest.raises(Terminal, match="kubeconfig"):
        from_kubeconfig(tmp_path / "config")
