"""Which runs are audited: a draw that the member cannot predict, the hub cannot grind, and anybody can repeat.

Each auditor commits to a secret key before an audit epoch, the log's checkpoint that closes the epoch is fixed, then
the keys are revealed. A run's ticket is an HMAC-SHA256 of its receipt and that checkpoint under the XOR of the keys.

- One key that is not known makes the XOR uniform, so whoever lacks one key predicts nothing.
- The hub orders receipts and closes the checkpoint while the keys are secret: choosing costs nothing and gains nothing.
- A commitment covers auditor and epoch. Otherwise an auditor could repeat another's commitment, repeat its reveal too,
  and so cancel both keys to a key of zeros that it knew beforehand.
- The last to reveal has seen the draw and may spoil it by silence, so with M keys missing it had 2^M draws to choose
  from. ``under_silence`` makes each draw that much more likely: silence buys nothing.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import isqrt

KEY_BYTES = 32
SPACE = 1 << 256
"""Tickets are uniform in ``range(SPACE)``; a threshold of ``SPACE`` audits everything."""
LEAST_KEYS = 2
COMMITMENT_TYPE = b"hansa/audit-commitment/v1\0"
TICKET_TYPE = b"hansa/audit-ticket/v1\0"


class Spoilt(StrEnum):
    """Why an auditor's key does not count. The strings are API."""

    NOT_REVEALED = "NotRevealed"
    NOT_COMMITTED = "NotCommitted"
    """Revealed, or committed after the epoch had begun."""
    MISMATCH = "Mismatch"
    """The key is not the one that was committed."""


@dataclass(frozen=True, slots=True)
class Commitment:
    """An auditor's word, logged before the epoch began, on the key it will reveal."""

    auditor: str
    institution: str
    digest: bytes
    logged_s: int
    """When the checkpoint that holds it was witnessed."""


@dataclass(frozen=True, slots=True)
class EpochKey:
    """What the tickets of an epoch are drawn with."""

    key: bytes | None
    """None: too few keys of different institutions; then every run of the epoch is audited."""
    spoilt: Mapping[str, Spoilt]
    """Auditor → what is wrong with its key."""

    @property
    def missing(self) -> int:
        """How many committed keys do not count."""
        return sum(why is not Spoilt.NOT_COMMITTED for why in self.spoilt.values())


def commit(epoch: int, auditor: str, key: bytes) -> bytes:
    """Return the digest an auditor publishes before the epoch.

    Raises:
        ValueError: the key is not 32 bytes, or the epoch is negative.
    """
    if len(key) != KEY_BYTES:
        raise ValueError(f"key: {len(key)} bytes; an audit key has {KEY_BYTES} random bytes")
    name = auditor.encode()
    said = epoch.to_bytes(8, "big") + len(name).to_bytes(4, "big") + name + key
    return hashlib.sha256(COMMITMENT_TYPE + said).digest()


def epoch_key(
    epoch: int, begins_s: int, commitments: Iterable[Commitment], reveals: Mapping[str, bytes]
) -> EpochKey:
    """Return the XOR of all keys that were committed before ``begins_s`` and are revealed as committed.

    ``reveals``: auditor → key as it said, not checked yet. Of one auditor's commitments the first counts.
    """
    first: dict[str, Commitment] = {}
    for one in sorted(commitments, key=lambda one: (one.logged_s, one.digest)):
        if one.logged_s < begins_s:
            first.setdefault(one.auditor, one)
    spoilt = {who: Spoilt.NOT_COMMITTED for who in reveals if who not in first}
    mixed, institutions = bytes(KEY_BYTES), set()
    for who, one in sorted(first.items()):
        why = _spoilt(epoch, one, reveals.get(who))
        if why is not None:
            spoilt[who] = why
            continue
        mixed = bytes(a ^ b for a, b in zip(mixed, reveals[who], strict=True))
        institutions.add(one.institution)
    return EpochKey(mixed if len(institutions) >= LEAST_KEYS else None, spoilt)


def _spoilt(epoch: int, one: Commitment, key: bytes | None) -> Spoilt | None:
    if key is None:
        return Spoilt.NOT_REVEALED
    if len(key) != KEY_BYTES or commit(epoch, one.auditor, key) != one.digest:
        return Spoilt.MISMATCH
    return None


def ticket(key: bytes, leaf: bytes, checkpoint: bytes) -> int:
    """Return a run's ticket, uniform in ``range(SPACE)``.

    ``leaf``: 32-byte digest of the receipt as logged; ``checkpoint``: 32-byte root that closed the epoch.
    """
    said = TICKET_TYPE + leaf + checkpoint
    return int.from_bytes(hmac.digest(key, said, "sha256"), "big")


def under_silence(threshold: int, missing: int) -> int:
    """Return the threshold when so many committed keys are missing: p^(1/2^missing), rounded up.

    Whoever is silent chose between two draws; both have to pass, so each is drawn at the root.
    """
    for _ in range(missing):
        if threshold >= SPACE:
            break
        threshold = min(SPACE, isqrt(threshold * SPACE) + 1)
    return threshold
