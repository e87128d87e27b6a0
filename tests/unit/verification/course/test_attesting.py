"""A device's report counts for the node that it was asked for, from the root on that it was asked with."""

from __future__ import annotations

import pytest

from hansa.api.sovereignnode import HardwareEvidence
from hansa.verification.course.attesting import Asked, attested, each_its_own, nonce, opened
from hansa.verification.levels import Evidence, Shown
from tests.unit.verification.course.devices import RECORDED, VENDOR, Device, Vendor

TARTU, RIGA, ROOT = "sha256:" + "a" * 64, "sha256:" + "b" * 64, "sha256:" + "c" * 64
NOW_S = 1_790_000_000
ASKED = [Asked(4, ROOT, NOW_S - 7_200), Asked(5, ROOT, NOW_S - 3_600)]
MADE = Vendor()
DEVICE = Device(MADE)
FRESH = nonce(TARTU, 5, ROOT)


def shown(said, key=TARTU, roots=(MADE.root,), asked=ASKED):
    return attested(opened(said, roots, NOW_S), key, asked)


def test_an_answer_is_dated_by_the_root_that_it_was_asked_with():
    found = shown(DEVICE.says(FRESH))
    assert found.shown == Shown(Evidence.HARDWARE, NOW_S - 3_600)
    assert "recorded, not attested here" in found.why
    assert shown(DEVICE.says(nonce(TARTU, 4, ROOT))).shown.at_s == NOW_S - 7_200


NOT_OURS = {
    "another node's": (DEVICE.says(nonce(RIGA, 5, ROOT)), TARTU),
    "another epoch's": (DEVICE.says(nonce(TARTU, 6, ROOT)), TARTU),
    "another root's": (DEVICE.says(nonce(TARTU, 5, TARTU)), TARTU),
    "its own, shown by another node": (DEVICE.says(FRESH), RIGA),
    "a real one, recorded by somebody": (RECORDED, TARTU),
}


@pytest.mark.parametrize("case", NOT_OURS.values(), ids=NOT_OURS)
def test_what_was_recorded_for_another_nonce_lifts_nobody(case):
    said, key = case
    found = shown(said, key, (MADE.root, VENDOR))
    assert found.shown is None
    assert "answers no nonce" in found.why
    assert "recorded, not attested here" in found.why


def test_what_was_asked_too_long_ago_is_a_recording():
    assert shown(DEVICE.says(FRESH), asked=ASKED[:1]).shown is None


NONE = {
    "no root is trusted": (DEVICE.says(FRESH), (), "trusts no vendor's root"),
    "another vendor's root": (DEVICE.says(FRESH), (VENDOR,), "chain: "),
    "no base64": (HardwareEvidence.model_construct(report="%", chain="x"), (VENDOR,), "report: "),
    "no chain": (DEVICE.says(FRESH).model_copy(update={"chain": "x"}), (VENDOR,), "PEM"),
    "its certificate has ended": (Device(MADE, days=365).says(FRESH), (MADE.root,), "not valid"),
}


@pytest.mark.parametrize("case", NONE.values(), ids=NONE)
def test_what_is_no_evidence_says_why(case):
    said, roots, why = case
    with pytest.raises(ValueError, match=why):
        opened(said, roots, NOW_S)


def test_a_device_speaks_for_one_node():
    both = {key: shown(DEVICE.says(nonce(key, 5, ROOT)), key) for key in (TARTU, RIGA)}
    found = each_its_own(both)
    assert [one.shown for one in found.values()] == [None, None]
    assert "another node" in found[TARTU].why
    assert each_its_own({TARTU: both[TARTU]}) == {TARTU: both[TARTU]}
    # One that another node has only copied speaks for the one that asked it.
    copied = each_its_own({TARTU: both[TARTU], RIGA: shown(DEVICE.says(FRESH), RIGA)})
    assert copied[TARTU].shown is not None
