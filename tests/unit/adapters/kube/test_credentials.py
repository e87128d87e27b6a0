"""Credentials follow their files: what is whole is taken, what is half written never."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from e2e.testbed.cluster.pki import Authority
from hansa.adapters.kube.config import Connection
from hansa.adapters.kube.credentials import CHECK_EVERY_S, Credentials
from hansa.errors import Terminal


class Ticking:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.passed_s = 0.0

    def monotonic(self) -> float:
        return self.passed_s


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("pki"), name="test-ca")


@pytest.fixture
def files(authority, tmp_path) -> Connection:
    """A connection whose files are all there."""
    ours, other = (authority.issue_server(name, ["127.0.0.1"]) for name in ("ours", "other"))
    for name, text in {
        "ca": authority.identity.cert.read_text(),
        "cert": ours.cert.read_text(),
        "key": ours.key.read_text(),
        "other": other.key.read_text(),
        "token": "first\n",
    }.items():
        (tmp_path / name).write_text(text)
    return Connection(
        server="https://127.0.0.1:6443",
        ca_file=tmp_path / "ca",
        certificate_file=tmp_path / "cert",
        key_file=tmp_path / "key",
        token_file=tmp_path / "token",
    )


def write(path: Path, text: str) -> None:
    """Put another file in its place, as a kubelet does."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)


SPOILT = {
    "an empty token": ("token", ""),
    "a blank token": ("token", " \n"),
    "a token that is no text": ("token", None),
    "an empty authority": ("ca", ""),
    "half an authority": ("ca", "-----BEGIN CERTIFICATE-----\nMIIB"),
    "an empty certificate": ("cert", ""),
    "half a key": ("key", "-----BEGIN PRIVATE KEY-----\nMC4C"),
    "another's key": ("key", "other"),
}


def spoil(files: Connection, what: str, text: str | None) -> None:
    path = files.token_file.parent / what
    if text is None:
        path.write_bytes(b"\xff\xfe")
    else:
        other = path.parent / text
        write(path, other.read_text() if text and other.is_file() else text)


@pytest.mark.parametrize("case", SPOILT.values(), ids=SPOILT)
def test_nobody_begins_with_what_is_spoilt(case, files):
    spoil(files, *case)
    with pytest.raises(Terminal, match="cannot load credentials"):
        Credentials(files, clock=Ticking())


@pytest.mark.parametrize("case", SPOILT.values(), ids=SPOILT)
def test_what_is_held_stays_until_something_whole_is_there(case, files):
    what, _ = case
    path = files.token_file.parent / what
    whole, clock = path.read_text(), Ticking()
    held = Credentials(files, clock=clock)
    tls, headers = held.tls, held.headers
    assert headers == {"Authorization": "Bearer first"}

    for force in (False, True):
        spoil(files, *case)
        clock.passed_s += CHECK_EVERY_S
        held.refresh(force=force)
        assert (held.tls, held.headers) == (tls, headers)

    write(path, whole.replace("first", "second"))
    clock.passed_s += CHECK_EVERY_S
    held.refresh()
    assert held.tls is not tls
    expected = "second" if what == "token" else "first"
    assert held.headers == {"Authorization": f"Bearer {expected}"}


@pytest.mark.parametrize("what", ["ca", "cert", "key", "token"])
def test_a_file_that_is_gone_changes_nothing(what, files):
    held, clock = None, Ticking()
    held = Credentials(files, clock=clock)
    tls, headers = held.tls, held.headers
    (files.token_file.parent / what).unlink()
    clock.passed_s += CHECK_EVERY_S
    held.refresh()
    assert (held.tls, held.headers) == (tls, headers)
    with pytest.raises(Terminal, match="cannot load credentials"):
        Credentials(files, clock=clock)


def test_files_are_looked_at_once_a_second_or_when_the_server_knew_us_not(files):
    clock = Ticking()
    held = Credentials(files, clock=clock)
    write(files.token_file, "second")
    clock.passed_s += CHECK_EVERY_S - 0.1
    held.refresh()
    assert held.headers == {"Authorization": "Bearer first"}
    held.refresh(force=True)
    assert held.headers == {"Authorization": "Bearer second"}


def test_what_has_not_changed_is_not_read_again(files):
    clock = Ticking()
    held = Credentials(files, clock=clock)
    for number in range(2):
        tls = held.tls
        clock.passed_s += CHECK_EVERY_S
        held.refresh()
        assert held.tls is tls
        write(files.token_file, f"token {number}")
        clock.passed_s += CHECK_EVERY_S
        held.refresh()
        assert held.tls is not tls


INLINE = {
    "a plain server needs none": ({"server": "http://127.0.0.1:1", "token": ""}, {}),
    "a token": ({"token": "t"}, {"Authorization": "Bearer t"}),
    "a plugin's token": ({"token_command": lambda: "p"}, {"Authorization": "Bearer p"}),
}


@pytest.mark.parametrize("case", INLINE.values(), ids=INLINE)
def test_what_is_no_file(case):
    fields, headers = case
    held = Credentials(Connection(**{"server": "https://x"} | fields), clock=Ticking())
    assert held.headers == headers
    assert bool(held.tls) == ("server" not in fields)


@pytest.mark.parametrize("pem", ["x", "é", "-----BEGIN CERTIFICATE-----\nMIIB"])
@pytest.mark.parametrize("field", ["ca_pem", "certificate_pem"])
def test_text_that_is_no_certificate_is_told(field, pem):
    place = replace(Connection(server="https://x"), **{field: pem})
    with pytest.raises(Terminal, match="cannot load credentials"):
        Credentials(place, clock=Ticking())
