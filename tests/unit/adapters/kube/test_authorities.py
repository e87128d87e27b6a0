"""Certificate authorities as people hand them around, and what is taken of them."""

from __future__ import annotations

import base64
import ssl
from pathlib import Path
from typing import NamedTuple

import pytest

from e2e.testbed.cluster.pki import Authority
from hansa.adapters.clock import SystemClock
from hansa.adapters.kube.authorities import certificates
from hansa.adapters.kube.config import Connection, from_kubeconfig
from hansa.adapters.kube.credentials import Credentials


class Two(NamedTuple):
    """Two certificates, and the key of one; PEM."""

    uni: str
    league: str
    key: str


@pytest.fixture(scope="module")
def two(tmp_path_factory) -> Two:
    folder = tmp_path_factory.mktemp("pki")
    made = [Authority(folder / name, name=name).identity for name in ("uni", "league")]
    uni, league = (Path(one.cert).read_text() for one in made)
    return Two(uni, league, Path(made[0].key).read_text())


def indented(text: str) -> str:
    return "".join(f"    {line}\n" for line in text.splitlines())


GOOD = {
    "one": lambda it: (it.uni.encode(), 1),
    "two": lambda it: ((it.uni + it.league).encode(), 2),
    "the same twice": lambda it: ((it.uni + it.uni).encode(), 1),
    "lines of Windows": lambda it: ((it.uni + it.league).replace("\n", "\r\n").encode(), 2),
    "lines of old Macs": lambda it: (it.uni.replace("\n", "\r").encode(), 1),
    "indented, as out of a YAML": lambda it: (indented(it.uni).encode(), 1),
    "comments": lambda it: (f"# Uni\n{it.uni}\nsubject=CN = league\n{it.league}".encode(), 2),
    "names of Mozilla's in the comments": lambda it: (f"# F\u0151tan\u00fas\n{it.uni}".encode(), 1),
    "the same in Latin 1": lambda it: (f"# Universit\u00e4t\n{it.uni}".encode("latin-1"), 1),
    "a mark of Windows before it": lambda it: (b"\xef\xbb\xbf" + it.uni.encode(), 1),
    "no line feed between two": lambda it: ((it.uni.rstrip() + it.league).encode(), 2),
    "no line feed at the end": lambda it: (it.uni.rstrip().encode(), 1),
    "OpenSSL's older name": lambda it: (it.uni.replace(" CERT", " X509 CERT").encode(), 1),
    "its key beside it": lambda it: ((it.uni + it.key + it.league).encode(), 2),
}


@pytest.mark.parametrize("name", GOOD)
def test_the_certificates_are_taken_and_nothing_else(name, two):
    text, count = GOOD[name](two)
    taken = certificates(text)
    context = ssl.create_default_context(cadata=taken)
    assert len(context.get_ca_certs()) == count == taken.count("BEGIN CERTIFICATE")
    assert "PRIVATE KEY" not in taken
    assert certificates(taken) == taken


BAD = {
    "nothing": (b"", "no certificate"),
    "a text": (b"see the wiki", "no certificate"),
    "DER": (ssl.PEM_cert_to_DER_cert, "openssl x509 -inform der"),
    "PKCS 7": (b"-----BEGIN PKCS7-----\nMII=\n-----END PKCS7-----", "no certificate"),
    "base64 of PEM": (lambda a: base64.b64encode(a.encode()), "no certificate"),
    "cut off": (lambda a: a[:-40].encode(), "1 of 1 certificates is cut off"),
    "the second cut off": (lambda a: (a + a[:300]).encode(), "1 of 2 certificates is cut off"),
    "spoilt": (
        lambda a: a.replace(a[200:240], "?" * 40).encode(),
        "1 of 1 certificates is cut off, or spoilt",
    ),
    "no certificate in it": (
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "cannot be read",
    ),
    "with marks of OpenSSL's own": (
        lambda a: a.replace(" CERT", " TRUSTED CERT").encode(),
        "no certificate in it",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_none_is_told(name, two):
    spoil, words = BAD[name]
    with pytest.raises(ValueError, match=words):
        certificates(spoil if isinstance(spoil, bytes) else spoil(two.uni))


def test_a_kubeconfig_may_hold_comments(two, tmp_path):
    held = base64.b64encode(f"# Universit\u00e4t\n{two.uni}".encode("latin-1")).decode()
    path = tmp_path / "config"
    path.write_text(f"""
current-context: x
contexts: [{{name: x, context: {{cluster: x, user: x}}}}]
clusters: [{{name: x, cluster: {{server: "https://hub", certificate-authority-data: {held}}}}}]
users: [{{name: x, user: {{token: t}}}}]
""")
    assert Credentials(from_kubeconfig(path), clock=SystemClock()).tls
    assert Credentials(
        Connection("https://hub", ca_pem=f"# \u00e4\n{two.uni}"), clock=SystemClock()
    ).tls
