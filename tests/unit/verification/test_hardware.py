"""A recorded report of a real H100 is read and verified offline; nothing else passes for one."""

from __future__ import annotations

from contextlib import suppress

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from hansa.verification.hardware import read
from tests.unit.verification.course.devices import CHAIN, REPORT, VENDOR, certificate, pem, signed

NONCE = bytes.fromhex("931d8dd0add203ac3d8b4fbde75e115278eefcdceac5b87671a748f32364dfcb")
AT_S = 1_790_000_000
BEGIN = b"-----BEGIN CERTIFICATE-----"


def judged(report=REPORT, chain=CHAIN, root=VENDOR, at_s=AT_S, asked=None):
    return read(report, chain, root=root, at_s=at_s, asked=asked)


def test_what_an_h100_said():
    found = judged()
    assert (found.driver_version, found.vbios_version) == ("550.90.07", "009f009601000000")
    assert [index for index, _ in found.measurements] == list(range(1, 65))
    assert found.measurements[1][1].startswith("8048dfd18fe229bf")
    assert found.nonce == NONCE


@pytest.mark.parametrize(
    ("asked", "is_fresh"), {None: False, bytes(32): False, NONCE: True}.items()
)
def test_a_recorded_report_is_marked_as_recorded(asked, is_fresh):
    assert judged(asked=asked).is_fresh is is_fresh


@given(st.integers(0, 8 * len(REPORT) - 1))
def test_a_report_that_was_changed(bit):
    spoilt = bytearray(REPORT)
    spoilt[bit // 8] ^= 1 << bit % 8
    with pytest.raises(ValueError, match="report:"):
        judged(bytes(spoilt))


LINKS = [BEGIN + part for part in CHAIN.split(BEGIN)[1:]]
CHAINS = {
    "nothing": (b"", "PEM"),
    "no certificates": (b"x" * 100, "PEM"),
    "only the root": (VENDOR, "0 certificates below the root"),
    "one missing": (b"".join([LINKS[0], *LINKS[2:]]), "chain: "),
    "the wrong order": (b"".join([LINKS[1], LINKS[0], *LINKS[2:]]), "chain: "),
    "another device first": (b"".join(LINKS[1:]), "report: the device did not sign it|not P-384"),
    "too many": (LINKS[0] * 9, "9 certificates below the root"),
    "too long": (CHAIN * 20, "too long"),
}


@pytest.mark.parametrize("case", CHAINS.values(), ids=CHAINS)
def test_a_chain_that_does_not_hold(case):
    chain, why = case
    with pytest.raises(ValueError, match=why):
        judged(chain=chain)


def test_before_the_certificates_are_valid():
    with pytest.raises(ValueError, match="not valid at that time"):
        judged(at_s=0)


KEY, DEVICE_KEY, CURVE = (
    ec.generate_private_key(c) for c in (ec.SECP384R1(), ec.SECP384R1(), ec.SECP256R1())
)
OWN_ROOT = certificate("root", KEY)
DEVICE = certificate("device", DEVICE_KEY, of=OWN_ROOT, by=KEY, is_authority=False)


def test_a_root_of_ones_own_is_not_the_vendors():
    forged = signed(DEVICE_KEY)
    assert judged(forged, pem(DEVICE, OWN_ROOT), root=pem(OWN_ROOT)).device == "7"
    with pytest.raises(ValueError, match="chain"):
        judged(forged, pem(DEVICE, OWN_ROOT))


def test_a_devices_key_signs_no_certificates():
    below = certificate("below", CURVE, of=DEVICE, by=DEVICE_KEY)
    with pytest.raises(ValueError, match="may sign no certificates"):
        judged(chain=pem(below, DEVICE), root=pem(OWN_ROOT))


def test_another_curve():
    other = certificate("other", CURVE, of=OWN_ROOT, by=KEY)
    with pytest.raises(ValueError, match="not P-384"):
        judged(chain=pem(other), root=pem(OWN_ROOT))


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_any_bytes_are_refused(tail, pem_like):
    for report in (tail, REPORT[: 41 + len(tail)], REPORT[:41] + tail, REPORT + tail + b"x"):
        with pytest.raises(ValueError, match=r"report|chain"):
            judged(report)
    with pytest.raises(ValueError, match=r".*"):
        judged(chain=BEGIN + pem_like)


@given(st.integers(0, len(LINKS[0]) - 1), st.integers(1, 255))
def test_a_certificate_that_was_changed(at, by):
    """Refused, unless the byte is one of those that PEM does not read."""
    spoilt = bytearray(LINKS[0])
    spoilt[at] ^= by
    with suppress(ValueError):
        assert judged(chain=bytes(spoilt) + b"".join(LINKS[1:])) == judged()
