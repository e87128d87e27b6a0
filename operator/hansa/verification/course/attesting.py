"""What a device's report shows of a node, and since when: it has to answer a nonce of that node's and of one epoch.

The nonce follows from the node's key and the root of the log that closed an audit epoch. Nobody knew that root before, so
a report that answers it is no older; and another node's report answers another nonce. The member has its device asked
and shows what was recorded. Any other report is read, said to be a recording of who knows when, and lifts nobody.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import rfc8785

from hansa.api.sovereignnode import HardwareEvidence
from hansa.model.times import rfc3339
from hansa.verification.hardware import HardwareReport, read
from hansa.verification.levels import Evidence, Shown

NONCE_TYPE = b"hansa/hardware-nonce/v1\0"
RECORDED = "recorded, not attested here: neither revocation nor the firmware's reference values are checked"


@dataclass(frozen=True, slots=True)
class Asked:
    """An audit epoch, whose closing root is what devices are asked with."""

    epoch: int
    root: str
    """``sha256:…``."""
    at_s: int
    """When it was closed, by the ledger's clock."""


@dataclass(frozen=True, slots=True)
class Attested:
    """What a node shows of its hardware."""

    why: str
    """For people."""
    shown: Shown | None = None
    """What counts for its level; None: nothing does."""
    device: str = ""
    """Digest of the key that signed it."""


def nonce(node_key: str, epoch: int, root: str) -> bytes:
    """Return the 32 bytes that a node's device is asked to sign."""
    said = rfc8785.dumps({"node": node_key, "epoch": epoch, "root": root})
    return hashlib.sha256(NONCE_TYPE + said).digest()


def opened(said: HardwareEvidence, roots: Iterable[bytes], now_s: int) -> HardwareReport:
    """Return what a device said, under the first of the vendors' roots that it leads to.

    Raises:
        ValueError: it leads to none, or is no report; what is wrong is said.
    """
    try:
        report = base64.b64decode(said.report, validate=True)
    except ValueError as error:
        raise ValueError(f"report: {error}") from None
    fault = "the league trusts no vendor's root (ledger.settings.audits.deviceRoots)"
    for root in roots:
        try:
            return read(report, said.chain.encode(), root=root, at_s=now_s, asked=None)
        except ValueError as error:
            fault = str(error)
    raise ValueError(fault)


def attested(found: HardwareReport, node_key: str, asked: Iterable[Asked]) -> Attested:
    """Return what a report shows of a node. ``asked``: the epochs whose nonces may still be answered."""
    for one in asked:
        if found.nonce == nonce(node_key, one.epoch, one.root):
            why = f"a device's report of {rfc3339(one.at_s)} (driver {found.driver_version}), {RECORDED}"
            return Attested(why, Shown(Evidence.HARDWARE, one.at_s), found.key)
    why = f"its report (driver {found.driver_version}) answers no nonce of this node's and of the last weeks: {RECORDED}"
    return Attested(why)


def each_its_own(found: Mapping[str, Attested]) -> dict[str, Attested]:
    """Return what nodes show, where no device speaks for two of them. ``found``: by the nodes' keys."""
    spoken = Counter(one.device for one in found.values() if one.shown)
    twice = "its device answers for another node, too: it counts for neither"
    return {
        key: replace(one, shown=None, why=twice) if one.shown and spoken[one.device] > 1 else one
        for key, one in found.items()
    }
