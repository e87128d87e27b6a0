"""The small server every process has: ``/healthz``, ``/readyz``, ``/metrics``, and nothing else."""

from __future__ import annotations

import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

log = logging.getLogger(__name__)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Check = Callable[[], str]
"""Returns why it is not well, or an empty string."""


@asynccontextmanager
async def probes(
    *, page: Callable[[], Awaitable[bytes]], healthy: Check, ready: Check, port: int, host: str = ""
) -> AsyncIterator[int]:
    """Serve for the length of a block; yields and logs the port (``port`` 0 picks a free one).

    An empty host is every address, of either family: the kubelet and Prometheus call from outside the pod.
    """
    app = web.Application()
    app.router.add_get("/healthz", _answer(healthy))
    app.router.add_get("/readyz", _answer(ready))
    app.router.add_get("/metrics", _metrics(page))
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port) if host else web.SockSite(runner, _everywhere(port))
        await site.start()
        bound = runner.addresses[0][1]
        log.info("serving", extra={"port": bound})
        yield bound
    finally:
        await runner.cleanup()


def _everywhere(port: int) -> socket.socket:
    """Return one socket for both families, so that there is one port; IPv4's where the machine has no other."""
    if socket.has_dualstack_ipv6():
        return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_server(("", port))


def _answer(check: Check) -> Handler:
    async def handle(_: web.Request) -> web.Response:
        trouble = check()
        return web.Response(status=503 if trouble else 200, text=trouble or "ok")

    return handle


def _metrics(page: Callable[[], Awaitable[bytes]]) -> Handler:
    async def handle(_: web.Request) -> web.Response:
        return web.Response(body=await page(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return handle
