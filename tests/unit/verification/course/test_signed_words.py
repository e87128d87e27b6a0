"""A word that stands in a status unchanged is read and verified once, and for nobody but whom it was read for."""

from __future__ import annotations

import pytest

from hansa.api.sovereignnode import AssuranceWord, AuditCall
from hansa.verification.course import signed_words
from hansa.verification.course.signed_words import read_word, say
from tests.unit.grants.grant_kit import HUB, NODE

KEYS = {HUB.key_id: HUB.public_key}
OTHERS = {HUB.key_id: NODE.public_key}
ELSEWHERE = "sha256:" + "1" * 64


@pytest.fixture
def call() -> AuditCall:
    return say(HUB, AuditCall, node_key=NODE.key_id, epoch=1, closed=None)


def wire_of(call: AuditCall) -> dict[str, object]:
    return call.model_dump(by_alias=True, mode="json")


def test_what_stands_unchanged_is_verified_once(call, monkeypatch):
    verified = []
    holds = signed_words.signature_holds
    monkeypatch.setattr(
        signed_words, "signature_holds", lambda *said: verified.append(said) or holds(*said)
    )
    for _ in range(3):
        assert read_word(wire_of(call), AuditCall, node_key=NODE.key_id, keys=KEYS) == call
    assert len(verified) == 1


OTHERWISE = {
    "another node": ({}, AuditCall, ELSEWHERE, KEYS, "it is about"),
    "a hub that is not trusted any more": ({}, AuditCall, NODE.key_id, {}, "not trusted here"),
    "another key under the same name": ({}, AuditCall, NODE.key_id, OTHERS, "its signature"),
    "another epoch": ({"epoch": 2}, AuditCall, NODE.key_id, KEYS, "its signature"),
    "another kind": ({}, AssuranceWord, NODE.key_id, KEYS, "it cannot be read"),
    "not JSON": ({"epoch": {1}}, AuditCall, NODE.key_id, KEYS, "it cannot be read"),
}


@pytest.mark.parametrize("case", OTHERWISE.values(), ids=OTHERWISE)
def test_a_word_that_was_good_once_is_good_for_nothing_else(call, case):
    changes, kind, node_key, keys, why = case
    assert read_word(wire_of(call), AuditCall, node_key=NODE.key_id, keys=KEYS) == call
    said = read_word(wire_of(call) | changes, kind, node_key=node_key, keys=keys)
    assert isinstance(said, str)
    assert why in said


def test_what_is_too_long_to_be_a_word_is_not_kept(call):
    signed_words._read.cache_clear()
    long = wire_of(call) | {"why": "x" * signed_words.LONGEST_KEPT}
    for _ in range(2):
        assert "cannot be read" in read_word(long, AuditCall, node_key=NODE.key_id, keys=KEYS)
    assert signed_words._read.cache_info().currsize == 0
