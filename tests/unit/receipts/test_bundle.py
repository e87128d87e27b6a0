"""A bundle is checked by anybody who has the keys, and each thing that does not hold is named."""

from __future__ import annotations

import pytest

from hansa.receipts.bundle import Audit, Bundle, Disputed, audit, read_bundle
from hansa.receipts.chain import Moment
from hansa.receipts.envelope import digest, seal
from hansa.receipts.work_receipt import Usage
from tests.unit.receipts.receipt_kit import HUB, KEYS, NODE, NOW_S, bundle, changed, history

FIRST, SECOND, LAST = history()
LATER = Moment(NOW_S + 700.0, 30.0)


def problems(found: Audit) -> list[str]:
    return [fault.why for fault in found.faults]


def test_a_whole_run_holds_in_any_order():
    found = audit(bundle(LAST, FIRST, SECOND), KEYS, LATER)
    assert problems(found) == []
    assert (len(found.receipts), found.countersigned, found.open_runs) == (3, 3, [])
    assert found.gpu_seconds == 2 * 650
    assert found.cpu_milliseconds == 3000 * 650


def test_what_the_hub_did_not_sign_is_not_counted_as_countersigned():
    assert audit(bundle(FIRST, both=False), KEYS, LATER).countersigned == 0


def test_a_node_that_calls_itself_the_league_has_not_countersigned():
    own = history(league=NODE.key_id)
    assert audit(bundle(*own, both=False), KEYS, LATER).countersigned == 0


def test_a_run_whose_end_is_not_there_is_named():
    assert audit(bundle(FIRST, SECOND), KEYS, LATER).open_runs == [FIRST.run]


def test_other_runs_receipts_may_lie_in_between():
    far = changed(SECOND, sequence=9, previous="sha256:" + "c" * 64)
    assert problems(audit(bundle(FIRST, far), KEYS, LATER)) == []


WRONG: dict[str, tuple[Bundle, str]] = {
    "a_part_left_out": (bundle(FIRST, LAST), "leaves a part"),
    "its_begin_left_out": (bundle(SECOND, LAST), "leaves a part"),
    "twice": (bundle(FIRST, FIRST), "taken before"),
    "two_versions": (
        bundle(FIRST, changed(FIRST, usage=Usage(gpu_seconds=1, cpu_milliseconds=1).model_dump())),
        "two different receipts",
    ),
    "side_by_side_and_not_linked": (
        bundle(FIRST, changed(SECOND, previous="sha256:" + "c" * 64)),
        "does not follow",
    ),
    "too_much": (
        bundle(changed(FIRST, usage=Usage(gpu_seconds=601, cpu_milliseconds=0).model_dump())),
        "more than its time",
    ),
}


@pytest.mark.parametrize(("wrong", "said"), WRONG.values(), ids=WRONG.keys())
def test_what_does_not_hold_is_named(wrong: Bundle, said: str):
    found = audit(wrong, KEYS, LATER)
    assert any(said in why for why in problems(found)), problems(found)


def test_other_keys_than_those_one_was_told_are_found():
    found = audit(bundle(FIRST), {NODE.key_id: NODE.public_key}, LATER)
    assert problems(found) == [f"A key signed it that is not known here. It is {HUB.key_id}."]


def test_proofs_are_given_to_who_can_check_them():
    asked = []

    def check(digest_: str, proof: str) -> str:
        asked.append((digest_, proof))
        return "" if len(asked) == 1 else "the root is another"

    found = audit(bundle(FIRST, SECOND, proof="tlog-proof"), KEYS, LATER, check_proof=check)
    assert asked == [(digest(seal(one, NODE)), "tlog-proof") for one in (SECOND, FIRST)]
    assert found.proved == 1
    assert problems(found) == ["Its proof does not hold: the root is another"]


def test_who_can_check_proofs_wants_one_of_every_chain():
    found = audit(bundle(FIRST), KEYS, LATER, check_proof=lambda *_: "")
    assert (found.proved, problems(found)) == (0, ["It has no proof of its place in the log."])


def test_a_bundle_is_read_as_it_was_written():
    disputed = (Disputed(fault="Differs", field="gpus", message="2, not 1"),)
    made = bundle(FIRST, differences=disputed)
    text = made.model_dump_json(by_alias=True, exclude_none=True).encode()
    assert read_bundle(text) == made


@pytest.mark.parametrize("text", [b"", b"{}", b"[]", b'{"kind":"x"}', b"\xff", b"[" * 10_000])
def test_a_file_that_is_none_says_why(text: bytes):
    assert isinstance(read_bundle(text), str)
