"""``hansa join``: what can never lead to a hub is told at once, and not waited for."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from hansa.cli.league.accept import accept
from hansa.cli.league.join import join
from hansa.cli.league.release import release
from hansa.errors import Terminal
from hansa.member.hub_link import join as joining
from hansa.member.hub_link.identity import PENDING
from hansa.member.hub_link.join import FolderKeeper, Way, enrol, new_identity
from tests.unit.member.hub_link.paper import HUB, PaperHub

URL = "https://hub.example:6443"


@pytest.fixture
def bootstrap(monkeypatch):
    monkeypatch.setenv("HANSA_HUB_TOKEN", "token")
    return joining._bootstrap


URLS = ["http://hub.example", "ftp://hub.example", "hub.example", "https://", "https://h:99999"]


@pytest.mark.parametrize("url", URLS)
def test_a_token_goes_to_an_address_of_https_and_to_no_other(bootstrap, url):
    with pytest.raises(Terminal, match="--hub-url"):
        bootstrap(Way(url))


def test_without_an_authority_those_of_the_system_count(bootstrap):
    assert bootstrap(Way(URL)).server == URL


@pytest.mark.parametrize(
    "content", [b"garbage", b"\xff\xfe", None], ids=["text", "bytes", "no file"]
)
@pytest.mark.parametrize("is_option", [True, False], ids=["--ca", "HANSA_HUB_CA_FILE"])
def test_an_authority_that_is_none_is_told_before_keys_are_made(
    bootstrap, monkeypatch, tmp_path, content, is_option
):
    path = tmp_path / "ca.crt"
    if content is not None:
        path.write_bytes(content)
    if not is_option:
        monkeypatch.setenv("HANSA_HUB_CA_FILE", str(path))

    with pytest.raises(Terminal, match=r"ca\.crt is no certificate authority"):
        bootstrap(Way(URL, authority=path if is_option else None))


async def test_credentials_that_cannot_be_read_are_not_waited_for(tmp_path):
    fresh = new_identity("tartu", HUB)
    hub = PaperHub(Terminal("cannot load credentials: no key", reason="BadCredentials"))

    with pytest.raises(Terminal, match="cannot load credentials"):
        await enrol(hub, hub.as_node, FolderKeeper(tmp_path), fresh, poll_s=0)

    assert (await FolderKeeper(tmp_path).load()).token == PENDING


COMMANDS = {
    "join": (join, ["--node", "{}", "--hub-url", URL, "--out", "out"]),
    "accept": (accept, ["{}", "--identity-key", "x", "--release-key", "x"]),
    "release": (release, ["{}", "--key", __file__]),
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", ["Tartu", "../x", "a/b", "x?y", "", "a" * 64, "-a"])
def test_a_name_that_no_node_has_is_a_usage_error(command, name):
    run, arguments = COMMANDS[command]
    given = [one.format(name) for one in arguments]
    done = CliRunner().invoke(
        run, ["--", *given] if name.startswith("-") and command != "join" else given
    )

    assert done.exit_code == 2, done.output
