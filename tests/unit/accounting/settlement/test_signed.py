"""A clearing that goes round: all sign the same bytes, and nothing else passes for it."""

from __future__ import annotations

import base64
import json
from functools import reduce

import pytest

from hansa.accounting.settlement.signed import (
    SignedClearing,
    clearing_of,
    countersign,
    merged,
    read_signed,
    unsigned,
    unwarranted,
)
from hansa.errors import Terminal
from tests.unit.accounting.settlement.clearings import KEYS, NAMES, SIGNERS, clearing
from tests.unit.grants.grant_kit import FOREIGN


def signed_by(*names: str) -> SignedClearing:
    return reduce(countersign, (SIGNERS[name] for name in names), unsigned(clearing()))


def test_what_all_have_signed_stands() -> None:
    found = read_signed(signed_by(*NAMES).wire())
    assert clearing_of(found) == clearing()
    assert not list(unwarranted(found, KEYS))


def test_copies_that_were_signed_apart_come_together() -> None:
    copies = [signed_by(name) for name in (*NAMES, "ut")]
    assert {one.keyid for one in merged(copies).signatures} == {s.key_id for s in SIGNERS.values()}
    other = unsigned(clearing({("clinic", "ut"): 1}))
    with pytest.raises(Terminal, match="not of one clearing"):
        merged([*copies, other])


def test_who_signs_twice_has_signed_once() -> None:
    assert signed_by("ut", "ut") == signed_by("ut")


def _with(signature: str) -> SignedClearing:
    found = signed_by(*NAMES)
    last = found.signatures[-1].model_copy(update={"sig": signature})
    return found.model_copy(update={"signatures": (*found.signatures[:-1], last)})


LACKING = {
    "one has not signed": (signed_by("clinic", "lab"), KEYS, "ut has not signed"),
    "a key that nobody told": (
        signed_by(*NAMES),
        {"clinic": KEYS["clinic"]},
        "no key is known of lab",
    ),
    "another key is known": (
        signed_by(*NAMES),
        KEYS | {"ut": FOREIGN.public_key},
        "of ut does not hold",
    ),
    "another's signature": (_with(signed_by("lab").signatures[0].sig), KEYS, "of ut does not hold"),
    "a stranger signed": (countersign(signed_by(*NAMES), FOREIGN), KEYS, "none of the signers'"),
}


@pytest.mark.parametrize("case", LACKING)
def test_who_has_not_signed_is_named(case: str) -> None:
    found, keys, says = LACKING[case]
    told = list(unwarranted(found, keys))
    assert [text for text in told if says in text]


def _document(**changes: object) -> bytes:
    body = json.loads(clearing().canonical()) | changes
    text = json.dumps(body, sort_keys=True, separators=(",", ":")).encode()
    return json.dumps({"payload": base64.b64encode(text).decode()}).encode()


STRANGE = {
    "no JSON": (b"{", "Invalid JSON"),
    "no base64": (b'{"payload":"%"}', "no base64"),
    "another type": (b'{"payloadType":"x","payload":""}', "payloadType"),
    "an unknown field": (_document(token="x"), "token"),
    "another algorithm": (_document(algorithm="v2"), "algorithm"),
    "no amount": (_document(limits={"clinic": "1,5"}), "no amount"),
    "two spellings of an amount": (_document(limits={"clinic": "2.0"}), "one spelling"),
    "rows out of order": (
        _document(paid=json.loads(clearing().canonical())["paid"][::-1]),
        "one spelling",
    ),
    "no time": (_document(until="soon"), "until: write it"),
    "a size that is none": (_document(logSize=-1), "logSize"),
}


@pytest.mark.parametrize("case", STRANGE)
def test_what_is_no_clearing_is_refused_by_name(case: str) -> None:
    text, says = STRANGE[case]
    with pytest.raises(Terminal, match=f"this is no clearing.*{says}"):
        clearing_of(read_signed(text))
