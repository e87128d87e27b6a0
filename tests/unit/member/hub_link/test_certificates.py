"""Asking for a certificate: the key, its fingerprint, and what the hub may answer."""

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from hansa.errors import Conflict, Terminal
from hansa.member.hub_link import certificates


def test_a_stored_key_has_the_fingerprint_of_the_new_one():
    pair = certificates.new_key()
    assert certificates.load_key(pair.private_pem) == pair
    assert certificates.new_key().fingerprint != pair.fingerprint


def pem(key):
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(
        serialization.Encoding.PEM, form, serialization.NoEncryption()
    ).decode()


NO_KEYS = {
    "text": ("x", "not a private key"),
    "public half": (
        ec.generate_private_key(ec.SECP256R1())
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode(),
        "not a private key",
    ),
    "another algorithm": (pem(ed25519.Ed25519PrivateKey.generate()), "must be an EC key"),
}


@pytest.mark.parametrize(("text", "words"), NO_KEYS.values(), ids=NO_KEYS.keys())
def test_what_is_no_key_is_told(text, words):
    with pytest.raises(Terminal, match=words):
        certificates.load_key(text)


def test_a_request_is_named_after_node_and_key():
    one, other = certificates.new_key(), certificates.new_key()
    name = certificates.request_name("tartu", one)
    assert name == certificates.request_name("tartu", one)
    assert name not in {
        certificates.request_name("tartu", other),
        certificates.request_name("riga", one),
    }
    manifest = certificates.request_manifest("tartu", one, seconds=600)
    assert manifest["metadata"]["name"] == name
    assert manifest["spec"]["expirationSeconds"] == 600


async def test_asking_twice_meets_the_first_request():
    class Hub:
        async def create(self, path, _):
            raise Conflict(path)

    await certificates.submit(Hub(), {})


ANSWERS = {
    "nothing yet": ({}, ""),
    "approved, not signed": ({"conditions": [{"type": "Approved"}]}, ""),
    "signed": ({"certificate": "Q0VSVA=="}, "CERT"),
}


@pytest.mark.parametrize(("status", "expected"), ANSWERS.values(), ids=ANSWERS.keys())
def test_the_answer_is_read_from_the_status(status, expected):
    assert certificates.answer({"status": status}) == expected


@pytest.mark.parametrize("kind", ["Denied", "Failed"])
def test_a_refusal_is_told_with_its_reason(kind):
    status = {"conditions": [{"type": kind, "message": "wrong key"}]}
    with pytest.raises(Terminal, match="wrong key"):
        certificates.answer({"status": status})
