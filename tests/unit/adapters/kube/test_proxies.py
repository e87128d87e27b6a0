"""Whether a server is reached through a proxy, as kubectl and curl read the environment."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import yaml

from hansa.adapters.clock import SystemClock
from hansa.adapters.kube.client import KubeCluster
from hansa.adapters.kube.config import Connection, from_kubeconfig, with_token
from hansa.adapters.kube.proxies import checked, proxy_of, through
from hansa.errors import Retryable, Terminal

P = "http://proxy.uni.example:3128"
DIRECT = {
    "its name": ("https://hub.example:6443", "hub.example"),
    "its domain": ("https://hub.eu.example:6443", "eu.example"),
    "its domain, with a dot": ("https://hub.eu.example:6443", ".eu.example"),
    "its domain, with a star": ("https://hub.eu.example", "*.eu.example"),
    "its network": ("https://10.3.4.5:6443", "192.0.2.1, 10.0.0.0/8"),
    "its network of six": ("https://[2001:db8::1]:6443", "2001:db8::/32"),
    "its address": ("https://192.0.2.9", "192.0.2.9"),
    "its port": ("https://hub.example:6443", "hub.example:6443"),
    "its address and port": ("https://10.3.4.5:6443", "10.3.4.5:6443"),
    "its address of six": ("https://[2001:db8::1]:6443", "2001:db8::1"),
    "its address of six, in brackets": ("https://[2001:db8::1]:6443", "[2001:db8::1]"),
    "its address of six and port": ("https://[2001:db8::1]:6443", "[2001:db8::1]:6443"),
    "its name as DNS writes it": ("https://hub.example:6443", "hub.example."),
    "the usual port": ("https://hub.example", "hub.example:443"),
    "in capitals": ("https://HUB.example", "hub.EXAMPLE"),
    "everything": ("https://hub.example", "*"),
    "this machine": ("https://127.0.0.1:6443", ""),
    "this machine by name": ("https://localhost:6443", ""),
}
PROXIED = {
    "nothing said": ("https://hub.example", ""),
    "another domain": ("https://hub.example", "example.org"),
    "a name that only ends alike": ("https://myhub.example", "hub.example"),
    "below a dot only": ("https://eu.example", ".eu.example"),
    "another port": ("https://hub.example:6443", "hub.example:443"),
    "another port of six": ("https://[2001:db8::1]:6443", "[2001:db8::1]:443"),
    "another network": ("https://11.0.0.1", "10.0.0.0/8"),
    "a name in a network": ("https://hub.example", "10.0.0.0/8"),
    "rubbish": ("https://10.0.0.1", "10.0.0.0/99,,%,10.0.0.0.0/8"),
}


@pytest.mark.parametrize("name", DIRECT)
def test_who_is_reached_without_it(name):
    server, no_proxy = DIRECT[name]
    assert proxy_of(server, {"HTTPS_PROXY": P, "NO_PROXY": no_proxy}) == ""


@pytest.mark.parametrize("name", PROXIED)
def test_who_is_reached_through_it(name):
    server, no_proxy = PROXIED[name]
    for names in (("HTTPS_PROXY", "NO_PROXY"), ("https_proxy", "no_proxy")):
        assert proxy_of(server, dict(zip(names, (P, no_proxy), strict=True))) == P
    assert proxy_of(server, {"NO_PROXY": no_proxy}) == ""


def test_a_scheme_may_be_left_out():
    assert proxy_of("https://hub.example", {"HTTPS_PROXY": "proxy:3128"}) == "http://proxy:3128"


@pytest.mark.parametrize(
    "proxy",
    [
        *("socks5://p:1", "https://p:1", "http://", "p", "http://p:0", "http://p:x"),
        *("http://p:1/path", "http://p:1?x", "http://p:1#x", "http://p x:1", "http://p:1\n"),
    ],
)
def test_a_proxy_of_another_kind_is_refused_without_its_password(proxy):
    with pytest.raises(Terminal, match="CONNECT") as told:
        checked(proxy.replace("://", "://me:secret@"))
    assert "secret" not in str(told.value)


REFUSALS = {
    "no password, or a wrong one": (
        b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n",
        "the proxy answers 407: it wants a user and a password, http://USER:PASSWORD@HOST:PORT",
    ),
    "a host it lets nobody reach": (
        b"HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\nnope",
        "the proxy answers 403 Forbidden",
    ),
    "a host it cannot reach": (
        b"HTTP/1.1 503 Service Unavailable\r\n\r\n",
        "the proxy answers 503 Service Unavailable",
    ),
    "no HTTP": (b"SSH-2.0-x\r\n\r\n", "its answer is no HTTP"),
    "nothing": (b"", "Server disconnected"),
}


@pytest.mark.parametrize("name", REFUSALS)
async def test_what_it_refuses_is_told_without_its_password(name):
    answer, words = REFUSALS[name]
    asked = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    place = Connection("https://hub.example", proxy=checked(f"http://me:s%40cret@127.0.0.1:{port}"))
    async with server, KubeCluster(place, clock=SystemClock()) as hub:
        with pytest.raises(Retryable) as told:
            await hub.get("/api")
    assert b"Proxy-Authorization: Basic bWU6c0BjcmV0" in asked[0]
    assert words in str(told.value)
    assert "cret" not in str(told.value)


def test_what_a_connection_says_goes_before_the_environment(tmp_path: Path):
    path = tmp_path / "config"
    cluster = {"server": "https://hub.example", "proxy-url": "http://own:1"}
    document = {
        "current-context": "x",
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
        "clusters": [{"name": "x", "cluster": cluster}],
        "users": [{"name": "x", "user": {"token": "t"}}],
    }
    path.write_text(yaml.safe_dump(document))
    place = from_kubeconfig(path)
    assert through(place, {"HTTPS_PROXY": P, "NO_PROXY": "*"}).proxy == "http://own:1"
    assert with_token(place, "u").proxy == "http://own:1"
    assert through(Connection("https://hub.example"), {"HTTPS_PROXY": P}).proxy == P
