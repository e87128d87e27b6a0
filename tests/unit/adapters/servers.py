"""Servers that answer what no API server does, for the tests of the client."""

from __future__ import annotations

import contextlib

from aiohttp import web

from hansa.adapters.clock import SystemClock
from hansa.adapters.kube.client import OWN, KubeCluster
from hansa.adapters.kube.config import Connection


@contextlib.asynccontextmanager
async def serving(handler, bounds=OWN):
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    connection = Connection(server=f"http://127.0.0.1:{runner.addresses[0][1]}")
    try:
        client = KubeCluster(connection, clock=SystemClock(), watch_inactivity_s=0.3, bounds=bounds)
        async with client as cluster:
            yield cluster
    finally:
        await runner.cleanup()


def page_of(items, more=""):
    meta = {"resourceVersion": "1"} | ({"continue": more} if more else {})
    return web.json_response({"kind": "XList", "metadata": meta, "items": items})


def thing(name, version):
    return {"metadata": {"name": name, "uid": f"u-{name}", "resourceVersion": str(version)}}
