"""An auditor's key: committed before, revealed once its epoch is over, for one root, and to nobody's wish."""

from __future__ import annotations

import base64

import pytest
import rfc8785
from securesystemslib import dsse

from hansa.api.sovereignnode import AssuranceWord, AuditCall, ClosedEpoch
from hansa.verification.course.answers import Answer, answer, audit_key
from hansa.verification.course.signed_words import TYPES, read_word, say
from hansa.verification.tickets import commit
from tests.unit.receipts.receipt_kit import HUB, NODE, OTHER

ROOT, OTHER_ROOT = "sha256:" + "a" * 64, "sha256:" + "b" * 64


def call(epoch: int, root: str | None = ROOT, *, closed: int | None = None) -> AuditCall:
    over = None
    if root is not None:
        over = ClosedEpoch(epoch=epoch - 1 if closed is None else closed, size=7, root=root)
    return say(HUB, AuditCall, node_key=NODE.key_id, epoch=epoch, closed=over)


def test_it_commits_to_the_next_epoch_and_reveals_the_closed_one_as_committed():
    before = answer(call(1, None), NODE, Answer())
    assert before.commitment is not None
    assert (before.commitment.epoch, before.reveal) == (2, None)
    after = answer(call(3), NODE, before)
    assert after.reveal is not None
    assert (after.reveal.epoch, after.reveal.root) == (2, ROOT)
    key = base64.b64decode(after.reveal.key)
    assert before.commitment.digest == "sha256:" + commit(2, NODE.key_id, key).hex()
    assert answer(call(3), NODE, Answer()) == after  # another process of the agent finds the same


def test_keys_are_of_one_epoch_one_league_and_one_node():
    keys = {
        audit_key(signer, league, epoch)
        for signer in (NODE, OTHER)
        for league in ("one", "other")
        for epoch in (1, 2)
    }
    assert len(keys) == 8


REFUSED = {
    "an epoch that is still open": (call(3, closed=3), "is not over"),
    "one that is to come": (call(3, closed=9), "is not over"),
    "another root for one that was revealed": (call(4, OTHER_ROOT, closed=2), "closed with root"),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_what_is_not_revealed(case):
    asked, why = case
    before = answer(call(3), NODE, Answer())
    found = answer(asked, NODE, before)
    assert found.reveal is None
    assert why in found.refused


def test_a_hub_that_goes_back_gets_no_commitment_to_a_key_that_is_out():
    before = answer(call(9), NODE, Answer())
    found = answer(call(2, None), NODE, before)
    assert found.commitment is None
    assert "is out already" in found.refused


def test_what_was_revealed_long_ago_is_forgotten_and_not_revealed_again():
    said = Answer()
    for epoch in range(1, 200):
        said = answer(call(epoch), NODE, said)
    assert len(said.roots) <= 66
    assert answer(call(200, closed=3), NODE, said).reveal is None


WORDS = {
    "another node's": (call(1).model_copy(update={"node_key": OTHER.key_id}), "it is about"),
    "another hub's": (say(OTHER, AuditCall, node_key=NODE.key_id, epoch=1, closed=None), "trusted"),
    "changed afterwards": (call(1).model_copy(update={"epoch": 2}), "its signature is none"),
}


@pytest.mark.parametrize("case", WORDS.values(), ids=WORDS)
def test_a_word_counts_by_its_signature(case):
    word, why = case
    wire = word.model_dump(by_alias=True, mode="json")
    found = read_word(wire, AuditCall, node_key=NODE.key_id, keys={HUB.key_id: HUB.public_key})
    assert isinstance(found, str)
    assert why in found


def test_one_kind_of_word_cannot_stand_for_another():
    wire = call(1).model_dump(by_alias=True, mode="json")
    keys = {HUB.key_id: HUB.public_key}
    assert read_word(wire, AuditCall, node_key=NODE.key_id, keys=keys) == call(1)
    assert isinstance(read_word(wire, AssuranceWord, node_key=NODE.key_id, keys=keys), str)


def test_what_was_signed_as_something_else_is_no_word():
    word = call(1)
    body = word.model_dump(by_alias=True, mode="json", exclude={"signature"})
    other = dsse.Envelope(rfc8785.dumps(body), TYPES[AssuranceWord], {}).pae()
    signature = {"keyid": HUB.key_id, "sig": base64.b64encode(HUB.sign(other)).decode()}
    keys = {HUB.key_id: HUB.public_key}
    found = read_word(body | {"signature": signature}, AuditCall, node_key=NODE.key_id, keys=keys)
    assert found == "its signature is none"


@pytest.mark.parametrize("wire", [None, 7, [], {}, {"nodeKey": 1}, float("nan")])
def test_what_is_no_word_is_told(wire):
    found = read_word(wire, AuditCall, node_key=NODE.key_id, keys={})
    assert isinstance(found, str)
    assert found.startswith("it cannot be read")
