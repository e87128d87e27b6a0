"""A watermark is the ledger's word on one chain, or nothing."""

from __future__ import annotations

from typing import Any

import pytest

from hansa.receipts.outbox import MOST_BYTES, MOST_ENVELOPES, window
from hansa.receipts.watermark import Watermark, acknowledge, read_watermark
from tests.unit.receipts.receipt_kit import DIGEST, HUB, KEYS, NODE, OTHER

MARK = acknowledge(
    HUB, node_key=NODE.key_id, sequence=7, digest=DIGEST, at="2027-01-15T08:00:00Z"
).model_dump(by_alias=True, mode="json")
BAD: dict[str, Any] = {
    "nothing": None,
    "text": "taken",
    "further": MARK | {"sequence": 8},
    "another_digest": MARK | {"digest": "sha256:" + "b" * 64},
    "another_time": MARK | {"at": "2027-01-15T08:00:01Z"},
    "of_another_node": MARK | {"nodeKey": HUB.key_id},
    "negative": MARK | {"sequence": -1},
    "a_text_for_a_number": MARK | {"sequence": "7"},
    "more": MARK | {"forget": True},
    "a_key_not_trusted": acknowledge(
        OTHER, node_key=NODE.key_id, sequence=7, digest=DIGEST, at="2027-01-15T08:00:00Z"
    ).model_dump(by_alias=True, mode="json"),
}


def test_a_watermark_is_read():
    found = read_watermark(MARK, node_key=NODE.key_id, keys=KEYS)
    assert isinstance(found, Watermark)
    assert (found.sequence, found.digest) == (7, DIGEST)


@pytest.mark.parametrize("said", BAD.values(), ids=BAD.keys())
def test_what_is_none_says_why(said: Any):
    found = read_watermark(said, node_key=NODE.key_id, keys=KEYS)
    assert isinstance(found, str)
    assert found


SIZES = {
    "none": (0, 10, 0),
    "few": (3, 10, 3),
    "many": (100, 10, MOST_ENVELOPES),
    "large": (100, 10_000, MOST_BYTES // 10_000),
    "one_too_large": (2, MOST_BYTES + 1, 1),
}


@pytest.mark.parametrize(("count", "size", "expected"), SIZES.values(), ids=SIZES.keys())
def test_a_window_is_bounded_and_never_empty(count: int, size: int, expected: int):
    assert len(window({"payload": "A" * size} for _ in range(count))) == expected
