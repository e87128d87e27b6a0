"""What is sealed for a node is opened by its key, under its name, and by nothing else."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from hansa.adapters.sealing import IdentityKey, seal
from hansa.api.sovereignnode import SovereignNodeSpec
from hansa.errors import HansaError, Terminal

OURS, THEIRS = IdentityKey.generate(), IdentityKey.generate()


@given(st.text(max_size=3000))
def test_what_was_sealed_is_opened(text):
    assert OURS.open(seal(text, OURS.public_key, node="tartu"), node="tartu") == text


SEALED = seal("secret", OURS.public_key, node="tartu")
RAW = base64.b64decode(SEALED)
FORGERIES = {
    "to another key": (seal("secret", THEIRS.public_key, node="tartu"), "tartu"),
    "for another node": (SEALED, "riga"),
    "changed": (base64.b64encode(RAW[:-1] + bytes([RAW[-1] ^ 1])).decode(), "tartu"),
    "cut": (base64.b64encode(RAW[:40]).decode(), "tartu"),
    "nothing": ("", "tartu"),
    "no base64": ("%%%", "tartu"),
}


@pytest.mark.parametrize("case", FORGERIES)
def test_nothing_else_opens(case):
    sealed, node = FORGERIES[case]

    with pytest.raises(Terminal, match="not sealed to this node's key"):
        OURS.open(sealed, node=node)


@given(st.binary(max_size=300))
def test_no_bytes_are_more_than_an_error(data):
    with pytest.raises(HansaError):
        OURS.open(base64.b64encode(data).decode(), node="tartu")


def test_it_shows_nothing_of_what_is_in_it_and_no_two_are_alike():
    again = seal("secret", OURS.public_key, node="tartu")

    assert b"secret" not in RAW
    assert again != SEALED


def test_a_key_is_kept_as_pem_and_named_as_the_api_wants_it():
    kept = IdentityKey.from_pem(OURS.private_pem())

    assert kept.public_key == OURS.public_key
    place = {"institution": "a", "jurisdiction": "EE", "legalControl": ["EE"]}
    SovereignNodeSpec.model_validate(place | {"identityKey": OURS.public_key})


def pem(key):
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


NO_KEYS = {
    "a word": "hello",
    "another curve": pem(ec.generate_private_key(ec.SECP384R1())),
    "a signing key": pem(Ed25519PrivateKey.generate()),
}


@pytest.mark.parametrize("text", NO_KEYS.values(), ids=NO_KEYS)
def test_other_keys_are_refused(text):
    with pytest.raises(Terminal):
        IdentityKey.from_pem(text)


@pytest.mark.parametrize("key", ["", "hello", "A" * 44, "Ag" + "A" * 41 + "B"])
def test_nothing_is_sealed_to_what_is_no_point(key):
    with pytest.raises(Terminal, match="no P-256 point"):
        seal("secret", key, node="tartu")
