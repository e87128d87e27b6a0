"""A kubelet and Prometheus call a pod at its own address, which is one of six on clusters that have no others."""

from __future__ import annotations

import socket

import aiohttp
import pytest

from hansa.adapters.settings import EVERY_ADDRESS, Serving
from hansa.exporter.settings import ExporterSettings
from hansa.guard.settings import GuardSettings
from hansa.observability.http import probes

DEFAULTS = {
    "hub, ledger and member": Serving(),
    "guard": GuardSettings(node="tartu"),
    "exporter": ExporterSettings(),
}


async def page() -> bytes:
    return b"# metrics\n"


async def answers(host: str, *asked: str) -> list[bytes]:
    serving = probes(page=page, healthy=lambda: "", ready=lambda: "", port=0, host=host)
    async with serving as port, aiohttp.ClientSession() as http:
        found = []
        for one in asked:
            async with http.get(f"http://{one}:{port}/metrics") as answer:
                found.append(await answer.read())
        return found


@pytest.mark.parametrize("settings", DEFAULTS.values(), ids=DEFAULTS)
async def test_a_pod_is_heard_at_every_address(settings):
    asked = ["127.0.0.1", *(["[::1]"] if socket.has_dualstack_ipv6() else [])]
    assert await answers(settings.bind, *asked) == [b"# metrics\n"] * len(asked)


async def test_where_no_address_is_of_six(monkeypatch):
    monkeypatch.setattr(socket, "has_dualstack_ipv6", lambda: False)
    assert await answers(EVERY_ADDRESS, "127.0.0.1") == [b"# metrics\n"]


async def test_one_address_is_one():
    with pytest.raises(aiohttp.ClientConnectorError):
        await answers("127.0.0.1", "127.0.0.2")
