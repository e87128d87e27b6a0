"""Only what a node sealed is opened: every byte counts, and there is one spelling of each."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib import dsse
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import Signature, SSlibKey

from hansa.grants.envelope import pre_auth, signature_holds
from hansa.receipts import envelope
from hansa.receipts.envelope import PAYLOAD_TYPE, Opened, cosign, seal, unseal, wire
from hansa.receipts.problems import Objection, Problem
from tests.seeds import seeds
from tests.unit.receipts.receipt_kit import HUB, KEYS, NODE, OTHER, changed, history, work

RECEIPTS = history()
SEALED = wire(seal(RECEIPTS[0], NODE))
MUTATIONS_A_SEED = 4000


def statement(sealed: dict[str, Any]) -> dict[str, Any]:
    return json.loads(base64.b64decode(sealed["payload"]))


def resealed(payload: bytes, signer: Any = NODE, kind: str = PAYLOAD_TYPE) -> dict[str, Any]:
    """Sign whatever there is, as a node gone mad would."""
    sig = base64.b64encode(signer.sign(pre_auth(kind, payload))).decode()
    return {
        "payloadType": kind,
        "payload": base64.b64encode(payload).decode(),
        "signatures": [{"keyid": signer.key_id, "sig": sig}],
    }


@pytest.mark.parametrize("number", range(3))
def test_what_is_sealed_opens_and_is_an_in_toto_statement(number: int):
    sealed = wire(seal(RECEIPTS[number], NODE))
    found = unseal(orjson.dumps(sealed), KEYS)
    assert isinstance(found, Opened)
    assert found.receipt == RECEIPTS[number]
    body = statement(sealed)
    assert body["_type"] == "https://in-toto.io/Statement/v1"
    assert body["predicateType"] == "https://hansa.dev/WorkReceipt/v1"
    assert body["subject"][0]["digest"]["sha256"] == RECEIPTS[0].work.spec_digest[7:]
    assert base64.b64decode(sealed["payload"]) == rfc8785.dumps(body)
    # A second implementation of DSSE agrees with what the signature covers.
    message = pre_auth(PAYLOAD_TYPE, base64.b64decode(sealed["payload"]))
    assert signature_holds(NODE.public_key, message, sealed["signatures"][0]["sig"])


def test_the_hubs_signature_leaves_the_digest_as_it_is():
    sealed = seal(RECEIPTS[0], NODE)
    both = cosign(sealed, HUB)
    found = unseal(wire(both), KEYS)
    assert isinstance(found, Opened)
    assert found.signers == {NODE.key_id, HUB.key_id}
    assert found.digest == envelope.digest(sealed) == envelope.digest(both)


@given(st.text(max_size=256).filter(lambda text: text.isprintable() or text == ""))
def test_any_purpose_has_one_spelling(purpose: str):
    receipt = changed(RECEIPTS[0], work=work(purpose=purpose).model_dump())
    assert isinstance(unseal(wire(seal(receipt, NODE)), KEYS), Opened)


def _payload(change: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    body = statement(SEALED)
    change(body)
    return resealed(rfc8785.dumps(body))


def _set(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(body: dict[str, Any]) -> None:
        *way, name = path.split(".")
        for part in way:
            body = body[part]
        body[name] = value

    return change


REFUSED: dict[str, tuple[Any, Problem]] = {
    "nothing": (None, Problem.MALFORMED),
    "text": ("receipt", Problem.MALFORMED),
    "a_list": ([SEALED], Problem.MALFORMED),
    "no_json": (b"{", Problem.MALFORMED),
    "deep": (b"[" * 100_000, Problem.MALFORMED),
    "no_signature": (SEALED | {"signatures": []}, Problem.MALFORMED),
    "twice_signed": (SEALED | {"signatures": SEALED["signatures"] * 2}, Problem.OTHER_KEY),
    "more_fields": (SEALED | {"note": ""}, Problem.MALFORMED),
    "another_type": (
        resealed(base64.b64decode(SEALED["payload"]), kind="text/plain"),
        Problem.MALFORMED,
    ),
    "base64_of_another_spelling": (
        SEALED
        | {
            "payload": SEALED["payload"].rstrip("=")[:-1]
            + chr(ord(SEALED["payload"].rstrip("=")[-1]) + 1)
            + "=" * SEALED["payload"].count("=")
        },
        Problem.MALFORMED,
    ),
    "with_spaces": (
        resealed(json.dumps(statement(SEALED), sort_keys=True).encode()),
        Problem.MALFORMED,
    ),
    "with_a_null": (_payload(_set("predicate.resultDigest", None)), Problem.MALFORMED),
    "negative": (_payload(_set("predicate.usage.gpuSeconds", -1)), Problem.BAD_AMOUNT),
    "a_float": (_payload(_set("predicate.usage.gpuSeconds", 1.5)), Problem.BAD_AMOUNT),
    "beyond_integers": (
        resealed(
            rfc8785.dumps(statement(SEALED)).replace(
                b'"gpuSeconds":600', b'"gpuSeconds":' + b"9" * 30
            )
        ),
        Problem.BAD_AMOUNT,
    ),
    "ends_before_it_begins": (
        _payload(_set("predicate.end", "2001-01-01T00:00:00Z")),
        Problem.MALFORMED,
    ),
    "no_such_day": (_payload(_set("predicate.end", "2027-02-30T00:00:00Z")), Problem.MALFORMED),
    "another_time_zone": (
        _payload(_set("predicate.end", "2027-01-15T08:05:00+00:00")),
        Problem.MALFORMED,
    ),
    "about_another_run": (
        _payload(_set("subject", [{"name": "x", "digest": {"sha256": "0" * 64}}])),
        Problem.MALFORMED,
    ),
    "last_without_a_reason": (
        _payload(_set("predicate.endReason", "Succeeded")),
        Problem.MALFORMED,
    ),
    "another_nodes_receipt": (
        resealed(base64.b64decode(SEALED["payload"]), HUB),
        Problem.OTHER_KEY,
    ),
    "a_key_nobody_knows": (
        wire(seal(changed(RECEIPTS[0], work=work(node_key=OTHER.key_id).model_dump()), OTHER)),
        Problem.UNKNOWN_KEY,
    ),
    "signed_by_another_under_its_name": (
        SEALED
        | {
            "signatures": [
                {
                    "keyid": NODE.key_id,
                    "sig": resealed(base64.b64decode(SEALED["payload"]), OTHER)["signatures"][0][
                        "sig"
                    ],
                }
            ]
        },
        Problem.BAD_SIGNATURE,
    ),
    "countersigned_by_nobody": (
        SEALED
        | {"signatures": [*SEALED["signatures"], SEALED["signatures"][0] | {"keyid": HUB.key_id}]},
        Problem.BAD_SIGNATURE,
    ),
}


@pytest.mark.parametrize(("sealed", "problem"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_not_sealed_so_is_refused_by_name(sealed: Any, problem: Problem):
    before = copy.deepcopy(sealed)
    found = unseal(sealed, KEYS)
    assert isinstance(found, Objection), found
    assert found.problem is problem, found.message
    assert found.message.startswith(problem.sentence)
    assert sealed == before


def _mutated(draw: np.random.Generator, sealed: dict[str, Any]) -> dict[str, Any]:
    """Return an envelope with one small change, in its text, its payload or a field of the receipt."""
    made = copy.deepcopy(sealed)
    kind = draw.integers(4)
    if kind == 0:
        payload = bytearray(base64.b64decode(made["payload"]))
        at = draw.integers(len(payload))
        payload[at] ^= 1 << draw.integers(8)
        made["payload"] = base64.b64encode(bytes(payload)).decode()
    elif kind == 1:
        signature = made["signatures"][draw.integers(len(made["signatures"]))]
        raw = bytearray(base64.b64decode(signature["sig"]))
        raw[draw.integers(len(raw))] ^= 1 << draw.integers(8)
        signature["sig"] = base64.b64encode(bytes(raw)).decode()
    elif kind == 2:
        _change_a_field(draw, made)
    else:
        name = ("payload", "payloadType")[draw.integers(2)]
        at = draw.integers(len(made[name]))
        letter = "Aa0+/=-_ \u0000"[draw.integers(10)]
        made[name] = made[name][:at] + letter + made[name][at + draw.integers(2) :]
    return made


def _change_a_field(draw: np.random.Generator, made: dict[str, Any]) -> None:
    """Change one value inside the statement to one that may well be valid, and keep the signatures."""
    body = statement(made)
    places: list[tuple[Any, Any]] = []

    def walk(value: Any) -> None:
        for key in value if isinstance(value, dict) else range(len(value)):
            places.append((value, key))
            if isinstance(value[key], dict | list):
                walk(value[key])

    walk(body)
    holder, key = places[draw.integers(len(places))]
    value = holder[key]
    if isinstance(value, bool):
        holder[key] = not value
    elif isinstance(value, int):
        holder[key] = value + int(draw.integers(-2, 3) or 1)
    elif isinstance(value, str) and value:
        at = draw.integers(len(value))
        holder[key] = value[:at] + "0123456789abcdef"[draw.integers(16)] + value[at + 1 :]
    elif isinstance(holder, dict):
        del holder[key]
    made["payload"] = base64.b64encode(rfc8785.dumps(body)).decode()


@pytest.mark.parametrize("seed", seeds(52))
def test_no_mutated_receipt_is_accepted(seed: int):
    """A thousand always, and 104,000 in the long runs. What stays the same is no mutation."""
    draw = np.random.default_rng(seed)
    originals = [
        wire(sealed)
        for receipt in RECEIPTS
        for sealed in (seal(receipt, NODE), cosign(seal(receipt, NODE), HUB))
    ]
    count = MUTATIONS_A_SEED if seed >= 26 else MUTATIONS_A_SEED // 100
    for _ in range(count):
        original = originals[draw.integers(len(originals))]
        made = _mutated(draw, original)
        if made != original:
            found = unseal(made, KEYS)
            assert isinstance(found, Objection), made


def test_the_reference_library_verifies_both_signatures():
    """securesystemslib, which others check DSSE with: ours is checked without its keys, for they are made anew each time."""
    both = wire(cosign(seal(history()[0], NODE), HUB))
    keys = [
        SSlibKey(
            one.key_id, "ed25519", "ed25519", {"public": base64.b64decode(one.public_key).hex()}
        )
        for one in (NODE, HUB)
    ]
    signed = {
        one["keyid"]: Signature(one["keyid"], base64.b64decode(one["sig"]).hex())
        for one in both["signatures"]
    }
    payload = base64.b64decode(both["payload"])
    envelope = dsse.Envelope(payload, both["payloadType"], signed)
    assert len(envelope.verify(keys, 2)) == 2
    with pytest.raises(VerificationError):
        dsse.Envelope(payload + b" ", both["payloadType"], signed).verify(keys, 2)
