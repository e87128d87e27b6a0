"""``hansa hub-key secret/…``: the public half of the one signing key that a Secret holds."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hansa.adapters.keys import Ed25519Signer, pkcs8
from hansa.cli.access import Access
from hansa.cli.league.keys import hub_key
from hansa.errors import Terminal

KEY = Ed25519PrivateKey.from_private_bytes(b"h" * 32)
OTHERS = {
    "ca.crt": b"-----BEGIN CERTIFICATE-----",
    "tls.key": pkcs8(ec.generate_private_key(ec.SECP256R1())),
}
HELD: dict[str, dict[str, bytes]] = {
    "PEM": {"key.pem": pkcs8(KEY)},
    "raw": {"key": b"h" * 32},
    "raw in base64": {"key": base64.b64encode(b"h" * 32) + b"\n"},
    "beside others": {**OTHERS, "key.pem": pkcs8(KEY)},
}
NONE: dict[str, Any] = {
    "nothing": None,
    "no data": {},
    "an empty value": {"key.pem": b""},
    "only others": OTHERS,
    "too short": {"key": b"h" * 31},
}


def asked(monkeypatch: pytest.MonkeyPatch, data: dict[str, bytes] | None, source: str):
    """Return the command's result, and which path it asked for."""
    paths: list[str] = []

    class Cluster:
        def get(self, path: str) -> dict[str, Any]:
            paths.append(path)
            held = {name: base64.b64encode(value).decode() for name, value in (data or {}).items()}
            return {"metadata": {"name": "x"}} | ({} if data is None else {"data": held})

    monkeypatch.setattr(Access, "ask", lambda _, question: question(Cluster()))
    return CliRunner().invoke(hub_key, [source]), paths


@pytest.mark.parametrize("data", HELD.values(), ids=HELD)
def test_the_public_half_is_shown_and_nothing_else(data, monkeypatch):
    result, paths = asked(monkeypatch, data, "secret/hansa-system/hansa-hub-key")
    signer = Ed25519Signer(KEY)
    assert result.stdout == f"{signer.public_key}\n"
    assert result.stderr == f"key id {signer.key_id}\n"
    assert paths == ["/api/v1/namespaces/hansa-system/secrets/hansa-hub-key"]


@pytest.mark.parametrize("data", NONE.values(), ids=NONE)
def test_a_secret_without_one_is_told(data, monkeypatch):
    result, _ = asked(monkeypatch, data, "secret/a/b")
    assert isinstance(result.exception, Terminal)
    assert "secret/a/b holds no Ed25519 private key" in str(result.exception)


@pytest.mark.parametrize(
    "source", ["secret/", "secret/a", "secret/a/", "secret//b", "secret/a/b/c"]
)
def test_what_names_no_secret_is_asked_of_nobody(source, monkeypatch):
    result, paths = asked(monkeypatch, {}, source)
    assert result.exit_code == 2
    assert "secret/NAMESPACE/NAME" in result.stderr
    assert paths == []
