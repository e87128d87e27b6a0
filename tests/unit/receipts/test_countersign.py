"""A hub signs what agrees with its own record, and names each thing that does not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hansa.receipts.countersign import Ending, GrantRecord, countersign, differences
from hansa.receipts.envelope import Opened, unseal, wire
from tests.unit.receipts.receipt_kit import (
    DIGEST,
    HUB,
    KEYS,
    NODE,
    NOW_S,
    PRICE,
    SKEW_S,
    UID,
    changed,
    history,
    opened,
)

RECORD = GrantRecord(
    node="tartu",
    node_key=NODE.key_id,
    institution="hospital",
    project="",
    job_uid=UID,
    epoch=1,
    spec_digest=DIGEST,
    image_digest=DIGEST,
    data_sets=("cohort",),
    jurisdiction="EE",
    gpu_classes=("nvidia-h100", "nvidia-l40s"),
    gpus=2,
    cpu_millis=3000,
    price=PRICE,
    granted_s=NOW_S - 3,
    over_s=NOW_S + 661,
    league=HUB.key_id,
    purpose="Sõeluuring 2027",
)
OTHER = "sha256:" + "b" * 64
FIRST, _, LAST = history()
DIFFERENT = {
    "node": {"node": "oslo"},
    "nodeKey": {"node_key": HUB.key_id},
    "institution": {"institution": "bank"},
    "project": {"project": "screening"},
    "jobUid": {"job_uid": "x"},
    "epoch": {"epoch": 2},
    "specDigest": {"spec_digest": "x"},
    "imageDigest": {"image_digest": "x"},
    "dataSets": {"data_sets": ()},
    "jurisdiction": {"jurisdiction": "SE"},
    "gpuClass": {"gpu_classes": ("nvidia-h100",)},
    "gpus": {"gpus": 4},
    "cpuMillis": {"cpu_millis": 1},
    "price": {"price": PRICE.model_copy(update={"currency": "SEK"})},
    "start": {"granted_s": NOW_S + 631},
    "league": {"league": NODE.key_id},
    "purpose": {"purpose": ""},
    "end": {"over_s": NOW_S + 619},
    "endReason": {"ending": Ending("AppFailed")},
    "resultDigest": {"ending": Ending("Succeeded", DIGEST)},
}


ENDED = Ending("Succeeded", told_s=NOW_S + 620)
HELD_UNTIL = {
    "as long as its contract lets it": ({"over_s": NOW_S + 620}, {}, set()),
    "longer than its contract lets it": ({"over_s": NOW_S + 619}, {}, {"end"}),
    "until the hub heard of its end": ({"ending": ENDED}, {}, set()),
    "behind what the hub heard": ({"ending": replace(ENDED, told_s=NOW_S + 619)}, {}, {"end"}),
    "cleared away for long": (
        {"over_s": NOW_S + 1, "ending": replace(ENDED, told_s=NOW_S + 1)},
        {"gpu_seconds": 0, "cpu_milliseconds": 0},
        set(),
    ),
    "by its CPUs alone": (
        {"ending": replace(ENDED, told_s=NOW_S + 1)},
        {"gpu_seconds": 0},
        {"end"},
    ),
}


@pytest.mark.parametrize(("known", "used", "fields"), HELD_UNTIL.values(), ids=HELD_UNTIL)
def test_nothing_is_held_behind_its_end(known, used, fields):
    """The last receipt is of 60 seconds, in 50 of which its GPUs were held; 30 are the clocks'."""
    receipt = changed(LAST, usage=LAST.usage.model_dump() | used)
    found = differences(receipt, replace(RECORD, **known), skew_s=SKEW_S)
    assert {one.field for one in found} == fields


def test_what_agrees_is_signed_by_both():
    both = countersign(opened(LAST), RECORD, signer=HUB, skew_s=SKEW_S)
    assert not isinstance(both, tuple)
    found = unseal(wire(both), KEYS)
    assert isinstance(found, Opened)
    assert found.signers == {NODE.key_id, HUB.key_id}


@pytest.mark.parametrize("field", DIFFERENT)
def test_each_difference_is_named_with_both_versions(field: str):
    record = replace(RECORD, **DIFFERENT[field])
    found = countersign(opened(LAST), record, signer=HUB, skew_s=SKEW_S)
    assert isinstance(found, tuple)
    named = [difference for difference in found if difference.field == field]
    assert len(named) == 1
    assert named[0].member != named[0].hub


TOLD = Ending("Succeeded", DIGEST)
HELD = replace(TOLD, held=True)
ENDS = {
    "as it was told": (DIGEST, TOLD, set()),
    "nothing where something was told": (None, TOLD, {"resultDigest"}),
    "something else": (OTHER, TOLD, {"resultDigest"}),
    "something where nothing was told": (DIGEST, Ending("Succeeded"), {"resultDigest"}),
    "another end": (DIGEST, replace(TOLD, reason="MachineLost"), {"endReason"}),
    "nothing where it was held": (None, Ending("Succeeded", held=True), set()),
    "nothing where it was released since": (None, HELD, set()),
    "something else than was released": (OTHER, HELD, {"resultDigest"}),
    "the hub has not seen it end": (OTHER, None, set()),
}


@pytest.mark.parametrize(("signed", "ending", "fields"), ENDS.values(), ids=ENDS)
def test_the_end_is_compared_with_what_the_owner_was_told(signed, ending, fields):
    record = replace(RECORD, ending=ending)
    last = changed(LAST, result_digest=signed)
    assert {one.field for one in differences(last, record, skew_s=SKEW_S)} == fields
    assert differences(FIRST, record, skew_s=SKEW_S) == ()


def test_a_hub_that_knows_no_price_compares_none():
    assert differences(FIRST, replace(RECORD, price=None), skew_s=SKEW_S) == ()


def test_a_run_that_goes_on_has_no_end_to_compare():
    assert differences(LAST, replace(RECORD, over_s=None), skew_s=SKEW_S) == ()


def test_a_grant_that_was_kept_before_it_told_league_and_purpose_compares_neither():
    assert differences(FIRST, replace(RECORD, league=None, purpose=None), skew_s=SKEW_S) == ()
