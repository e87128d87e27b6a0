"""A held result leaves by its owners' signatures over it, and by nothing else."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest

from hansa.grants.envelope import sign
from hansa.grants.exports import held_result, held_secret
from hansa.grants.exports.held_result import decide
from hansa.model.times import rfc3339
from tests.unit.grants.exports.held_results import NONCE, OWNERS, RESULT, cohort, held, law
from tests.unit.grants.grant_kit import FOREIGN, HUB, NODE, NOW_S, OWNER, UID, policy


def signed(*signers: Any, by_key: str = "", **changes: Any) -> dict[str, str]:
    pairs = [sign(signer, held_result.message(held(**changes))) for signer in signers]
    return {by_key or key: signature for key, signature in pairs}


OTHER = "sha256:" + "0" * 64
BOTH = law(cohort(), cohort("register", "OnRelease", "registry"))
TWO = {"datasets": ["cohort", "register"]}
CASES: dict[str, tuple[Any, dict[str, str], dict[str, Any], str]] = {
    "nobody has signed": (law(), {}, {}, "Waiting"),
    "its owner has": (law(), signed(OWNER), {}, "Released"),
    "the hub has": (law(), signed(HUB), {}, "Waiting"),
    "the hub, in the owner's name": (law(), signed(HUB, by_key=OWNER.key_id), {}, "Waiting"),
    "the node has": (law(), signed(NODE), {}, "Waiting"),
    "another set's owner has": (law(), signed(FOREIGN), {}, "Waiting"),
    "another result was signed": (law(), signed(OWNER, digest=OTHER), {}, "Waiting"),
    "for another institution": (law(), signed(OWNER, institution="bank"), {}, "Waiting"),
    "of another run": (law(), signed(OWNER, epoch=2), {}, "Waiting"),
    "of other data": (law(), signed(OWNER, datasets=[]), {}, "Waiting"),
    "no base64": (law(), {OWNER.key_id: "!"}, {}, "Waiting"),
    "one of two": (BOTH, signed(OWNER, **TWO), TWO, "Waiting"),
    "both of two": (BOTH, signed(OWNER, FOREIGN, **TWO), TWO, "Released"),
    "the owner's key was removed": (
        policy(datasets=[cohort()], trustedOwners=OWNERS[1:]),
        signed(OWNER),
        {},
        "Waiting",
    ),
    "the data set denies now": (law(cohort("cohort", "Deny")), signed(OWNER), {}, "Waiting"),
    "the data set is gone": (law(cohort("other")), signed(OWNER), {}, "Waiting"),
    "there is no policy": (None, signed(OWNER), {}, "Waiting"),
    "the policy allows now, nobody has signed": (law(cohort("cohort", "Allow")), {}, {}, "Waiting"),
    "allows now, and an owner has": (
        law(cohort("cohort", "Allow")),
        signed(OWNER),
        {},
        "Released",
    ),
    "waited too long": (law(), {}, {"until": rfc3339(NOW_S - 1)}, "Refused"),
    "until when is spoilt": (law(), {}, {"until": "soon"}, "Refused"),
    "signed at the last moment": (law(), signed(OWNER), {"until": rfc3339(NOW_S - 1)}, "Released"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_becomes_of_it(case):
    policy_, signatures, changes, state = CASES[case]

    decision = decide(held(**changes), signatures, policy_, now_s=NOW_S)

    assert decision.state == state
    assert decision.why


def test_the_digest_does_not_tell_a_short_result_to_one_who_can_list_them():
    other = held_result.nonce(NODE, UID, 4)

    assert held_result.commitment(NONCE, "yes") != held_result.commitment(other, "yes")
    assert held_result.nonce(NODE, UID, 3) == NONCE
    assert held_result.nonce(OWNER, UID, 3) != NONCE


def test_the_secret_gives_back_what_it_keeps():
    secret = held_secret.entry(held(), RESULT)
    for signer in (OWNER, FOREIGN):
        secret["data"] |= held_secret.signature(held(), *sign(signer, b"x"))["data"]

    kept = held_secret.read(secret, held().run)

    assert kept is not None
    assert (kept.held, kept.result, kept.is_refused) == (held(), RESULT, False)
    assert set(kept.signatures) == {OWNER.key_id, FOREIGN.key_id}
    assert held_secret.runs(secret) == [held().run]
    assert held_secret.removal(secret, held().run) == {"data": dict.fromkeys(secret["data"])}
    secret["data"] |= held_secret.refusal(held())["data"]
    refused = held_secret.read(secret, held().run)
    assert refused is not None
    assert refused == replace(kept, is_refused=True)


def coded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def facts(**changes: Any) -> str:
    return coded(json.dumps(held().model_dump(mode="json", by_alias=True) | changes))


SPOILT = {
    "another result than the one whose digest was told": {"result": coded("42")},
    "another digest": {"json": facts(digest=OTHER)},
    "another run's": {"json": facts(epoch=4)},
    "no facts": {"json": None},
    "facts that are no JSON": {"json": coded("{")},
    "no base64": {"json": "!"},
    "no text": {"result": base64.b64encode(b"\xff").decode()},
    "no result": {"result": None},
}


@pytest.mark.parametrize("case", SPOILT)
def test_what_somebody_has_changed_is_not_given_out(case):
    data = held_secret.entry(held(), RESULT)["data"]
    data |= {f"{held().run}.{key}": value for key, value in SPOILT[case].items()}

    assert held_secret.read({"data": data}, held().run) is None


def test_a_secret_without_data_keeps_nothing():
    assert held_secret.runs({}) == held_secret.runs({"data": None}) == []
