"""A server that answers garbage, lags or dies gives errors of the tree and never another exception."""

import asyncio
import contextlib

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from hansa.adapters.clock import SystemClock
from hansa.adapters.kube.answers import parse_event, parse_object, parse_page
from hansa.adapters.kube.client import KubeCluster
from hansa.adapters.kube.config import Connection, from_kubeconfig
from hansa.adapters.kube.reflector import Reflector
from hansa.errors import Conflict, Gone, HansaError, NotFound, Retryable, Terminal

ANSWERS = {
    "html": (200, "<html>please log in</html>", Retryable),
    "nothing": (200, "", Retryable),
    "a list": (200, "[]", Retryable),
    "half": (200, '{"kind": "Pod", ', Retryable),
    "redirect": (302, "", Terminal),
    "conflict": (409, '{"reason": "Conflict"}', Conflict),
    "missing": (404, "no", NotFound),
    "too old": (410, "{}", Gone),
    "too many": (429, "{}", Retryable),
    "broken": (503, "<html>", Retryable),
    "forbidden": (403, "[]", Terminal),
    "invalid": (422, '{"reason": 7, "message": {}}', Terminal),
}


@contextlib.asynccontextmanager
async def serving(handler):
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    connection = Connection(server=f"http://127.0.0.1:{runner.addresses[0][1]}")
    try:
        async with KubeCluster(connection, clock=SystemClock(), watch_inactivity_s=0.3) as cluster:
            yield cluster
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("case", ANSWERS)
async def test_answers(case):
    status, body, error = ANSWERS[case]

    async def answer(_):
        return web.Response(status=status, text=body)

    async with serving(answer) as cluster:
        with pytest.raises(error):
            await cluster.get("/x")


async def test_an_endless_answer_is_cut(monkeypatch):
    monkeypatch.setattr("hansa.adapters.kube.client.MAX_ANSWER_BYTES", 1000)

    async def answer(_):
        return web.Response(body=b" " * 5_000_000)

    async with serving(answer) as cluster:
        with pytest.raises(Retryable, match="larger"):
            await cluster._call("GET", "/x", limit=1000)


def thing(name, version):
    return {"metadata": {"name": name, "uid": f"u-{name}", "resourceVersion": str(version)}}


async def test_a_reflector_survives_410_garbage_and_a_half_open_watch():
    lists, watches = [], []

    async def answer(request):
        if "watch" not in request.query:
            lists.append(1)
            items = [thing("a", len(lists)), *([thing("b", 9)] if len(lists) < 3 else [])]
            return web.json_response(
                {"kind": "XList", "metadata": {"resourceVersion": str(len(lists))}, "items": items}
            )
        watches.append(1)
        if len(watches) == 1:
            return web.json_response({"type": "ERROR", "object": {"code": 410}})
        if len(watches) == 2:
            return web.Response(text="<html>")
        if len(watches) == 3:
            return web.json_response(
                {"type": "ERROR", "object": {"code": 410, "reason": "Expired"}}
            )
        response = web.StreamResponse()
        await response.prepare(request)
        await asyncio.sleep(5)
        return response

    seen = []
    async with serving(answer) as cluster:
        mirror = Reflector(
            cluster,
            "/things",
            clock=SystemClock(),
            on_change=lambda kind, obj: seen.append((kind, obj["metadata"]["name"])),
        )
        task = asyncio.create_task(mirror.run())
        async with asyncio.timeout(20):
            while len(watches) < 5:  # noqa: ASYNC110  # the server's own counter
                await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    assert len(lists) >= 3
    assert ("DELETED", "b") in seen
    assert set(mirror) == {"a"}


async def test_a_collection_is_listed_again_however_short_the_watches_are():
    lists = []

    async def answer(request):
        if "watch" not in request.query:
            lists.append(1)
            meta = {"resourceVersion": str(len(lists))}
            return web.json_response({"kind": "XList", "metadata": meta, "items": []})
        await asyncio.sleep(0.1)
        mark = {"kind": "X", "metadata": {"resourceVersion": "9"}}
        return web.json_response({"type": "BOOKMARK", "object": mark})

    async with serving(answer) as cluster:
        mirror = Reflector(cluster, "/things", clock=SystemClock(), relist_s=1.0)
        task = asyncio.create_task(mirror.run())
        async with asyncio.timeout(20):
            while len(lists) < 3:  # noqa: ASYNC110  # the server's own counter
                await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


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
