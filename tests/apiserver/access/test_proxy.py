"""A member behind a proxy joins a real hub: by CONNECT alone, or not at all, and never by a proxy that listens in."""

from __future__ import annotations

import re
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.testbed.cluster.pki import Authority
from e2e.testbed.host.clock import PATIENCE_S, wait_until
from hansa.api.kinds import SOVEREIGNNODE
from hansa.api.meta import API_VERSION, node_user
from tests.apiserver.access.joining import join_identity
from tests.apiserver.access.tunnels import Site, cut_off_site, proxy_to

pytestmark = pytest.mark.apiserver
HANSA = Path(sys.executable).parent / "hansa"
ADDRESS = "10.96.0.1"
"""Stands in the API server's certificate; from the site no route leads there."""
SEEN_AS = """
import asyncio, os, sys
from pathlib import Path
from hansa.adapters.clock import SystemClock
from hansa.adapters.kube.client import KubeCluster
from hansa.adapters.kube.proxies import through
from hansa.adapters.kube.tokens import whoami
from hansa.member.hub_link.join import FolderKeeper

async def main(folder):
    held = await FolderKeeper(folder).load()
    place = through(held.connection(folder), os.environ)
    async with KubeCluster(place, clock=SystemClock(), request_timeout_s=5) as hub:
        print("seen as", await whoami(hub))

asyncio.run(main(Path(sys.argv[1])))
"""
"""The agent's way to the hub: the kept identity, then the environment."""


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with cut_off_site() as made:
        yield made


class Joining:
    """``hansa join`` at the cut-off site."""

    def __init__(self, site: Site, league, token: str, folder: Path) -> None:
        self._site, self._plane, self._token = site, league.plane, token
        self.out, self.log = folder / "identity", folder / "join.log"
        self._folder = folder

    @property
    def server(self) -> tuple[str, int]:
        return "127.0.0.1", self._plane.endpoint.port

    def start(self, *more: str, **env: str) -> subprocess.Popen[bytes]:
        url = f"https://{ADDRESS}:{self._plane.endpoint.port}"
        where = ("--hub-url", url, "--ca", self._plane.ca_path, "--out", self.out)
        argv = (HANSA, "join", "--node", "proxied", *where, *more)
        return self._site.start(*argv, log=self.log, HANSA_HUB_TOKEN=self._token, **env)

    def said(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def hears(self, words: str) -> None:
        wait_until(lambda: words in self.said(), what=f"{words!r} of the join: {self.said()}")

    def seen_as(self, **env: str) -> str:
        """Return whom the hub sees in the agent, or why it sees nobody."""
        log = self._folder / "agent.log"
        asked = self._site.start(sys.executable, "-c", SEEN_AS, self.out, log=log, **env)
        asked.wait(PATIENCE_S)
        return log.read_text(errors="replace")


@pytest.fixture
async def joining(site, league, hub, tmp_path) -> Joining:
    await hub.ready()
    async with await join_identity(league) as joiner:
        token = joiner._connection.token
    return Joining(site, league, token, tmp_path)


def ended(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(PATIENCE_S)


async def test_by_the_proxy_alone(league, joining):
    alone = joining.start()
    joining.hears("Not yet: ")
    ended(alone)
    assert "unreachable" in joining.said()

    with proxy_to(joining.server).running() as proxy:
        led = joining.start("--proxy", proxy.url)
        joining.hears("Not yet: ")
        keys = re.findall(r"(?:Identity|Release) key: (\S+)", joining.said())
        spec = {"institution": "p", "jurisdiction": "EE", "legalControl": ["EE"]}
        spec |= {"identityKey": keys[0], "releaseKey": keys[1], "accepted": "Accepted"}
        node = {"apiVersion": API_VERSION, "kind": "SovereignNode", "spec": spec}
        await league.admin.create(SOVEREIGNNODE.path(), node | {"metadata": {"name": "proxied"}})
        assert led.wait(PATIENCE_S) == 0, joining.said()

        assert set(proxy.asked) == {f"CONNECT {ADDRESS}:{joining.server[1]} HTTP/1.1"}
        assert f"seen as {node_user('proxied')}" in joining.seen_as()
        (joining.out / "proxy").write_text("")
        assert "seen as" not in joining.seen_as()
        assert "seen as" in joining.seen_as(HTTPS_PROXY=proxy.url)
        assert "seen as" not in joining.seen_as(HTTPS_PROXY=proxy.url, NO_PROXY="10.96.0.0/16")
    await league.admin.delete(SOVEREIGNNODE.path(name="proxied"))


async def test_not_by_one_that_opens_tls(joining, tmp_path):
    """Not even where the whole system trusts its authority."""
    authority = Authority(tmp_path / "university", name="university")
    posing = authority.issue_server("hub", [ADDRESS])
    opens = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    opens.load_cert_chain(posing.cert, posing.key)

    with proxy_to(joining.server, opens_tls=opens).running() as proxy:
        trust = str(authority.identity.cert)
        led = joining.start("--proxy", proxy.url, SSL_CERT_FILE=trust)
        joining.hears("a proxy that opens TLS is refused")
        ended(led)

        assert proxy.asked
        assert proxy.overheard == b""


async def test_not_by_one_of_another_kind(joining):
    led = joining.start("--proxy", "socks5://172.31.251.1:1")

    assert led.wait(PATIENCE_S) == 1
    assert "give http://HOST:PORT of a proxy that knows CONNECT" in joining.said()
