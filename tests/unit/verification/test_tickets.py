"""Tickets: uniform, unpredictable without every key, useless to grind, the same for everybody."""

from __future__ import annotations

import hashlib
import hmac

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from hansa.verification.tickets import (
    SPACE,
    Commitment,
    Spoilt,
    commit,
    epoch_key,
    ticket,
    under_silence,
)

KEYS = {"vienna": bytes(range(32)), "riga": bytes(range(32, 64)), "oslo": bytes(range(64, 96))}
ROOT = hashlib.sha256(b"checkpoint").digest()


def committed(keys=KEYS, *, at_s=0, epoch=7):
    return [
        Commitment(who, f"of-{who}", commit(epoch, who, key), at_s) for who, key in keys.items()
    ]


def leaves(count, salt=b""):
    return [hashlib.sha256(salt + b"%d" % i).digest() for i in range(count)]


def key_of(keys):
    return epoch_key(7, 100, committed(keys), keys).key


def uniform(tickets, cells=64):
    counts = np.bincount([drawn * cells // SPACE for drawn in tickets], minlength=cells)
    return stats.chisquare(counts).pvalue


def test_uniform():
    assert uniform([ticket(key_of(KEYS), leaf, ROOT) for leaf in leaves(20_000)]) > 1e-4


@pytest.mark.no_cover  # statistics: traced they take three times as long
def test_without_one_key_nothing_is_predicted():
    """Whoever knows all keys but one guesses tickets no better than by chance, whichever it lacks."""
    for unknown in KEYS:
        guess = {**KEYS, unknown: bytes(32)}
        true = np.array([ticket(key_of(KEYS), leaf, ROOT) < SPACE // 10 for leaf in leaves(20_000)])
        said = np.array([ticket(key_of(guess), x, ROOT) < SPACE // 10 for x in leaves(20_000)])
        table = [
            [(true & said).sum(), (true & ~said).sum()],
            [(~true & said).sum(), (~true & ~said).sum()],
        ]
        assert stats.chi2_contingency(table).pvalue > 1e-4
        assert 0.08 < true.mean() < 0.12


def test_the_hub_gains_nothing_by_choosing_order_or_checkpoint():
    """The keys are secret when it closes the epoch: the best of 200 checkpoints by any rule of its own is average."""
    run = leaves(2_000)
    guessed, true = key_of({**KEYS, "oslo": bytes(32)}), key_of(KEYS)

    def audits(key, root):
        return sum(ticket(key, leaf, root) < SPACE // 20 for leaf in run)

    roots = leaves(200, b"root")
    best = min(roots, key=lambda root: audits(guessed, root))
    assert audits(guessed, best) < 85  # with the key it would have gained much
    assert abs(audits(true, best) - 100) < 4 * 100**0.5


def test_anybody_finds_the_same():
    again = epoch_key(7, 100, reversed(committed()), dict(reversed(KEYS.items())))
    assert again == epoch_key(7, 100, committed(), KEYS)
    mixed = bytes(a ^ b ^ c for a, b, c in zip(*KEYS.values(), strict=True))
    said = hmac.new(mixed, b"hansa/audit-ticket/v1\0" + leaves(1)[0] + ROOT, "sha256").hexdigest()
    assert ticket(again.key, leaves(1)[0], ROOT) == int(said, 16)


@pytest.mark.parametrize("part", ["leaf", "checkpoint", "key"])
def test_every_part_counts(part):
    whole = {"key": key_of(KEYS), "leaf": leaves(1)[0], "checkpoint": ROOT}
    flipped = {**whole, part: bytes([whole[part][0] ^ 1]) + whole[part][1:]}
    assert ticket(**whole) != ticket(**flipped)


COPY = Commitment("riga", "of-riga", commit(7, "vienna", KEYS["vienna"]), 0)
REVEALS = {
    "all": (committed(), KEYS, {}, True),
    "one is silent": (committed(), {**KEYS, "oslo": None}, {"oslo": Spoilt.NOT_REVEALED}, True),
    "another key": (committed(), {**KEYS, "oslo": bytes(32)}, {"oslo": Spoilt.MISMATCH}, True),
    "a short key": (committed(), {**KEYS, "oslo": b"x"}, {"oslo": Spoilt.MISMATCH}, True),
    "committed when the epoch had begun": (
        committed(at_s=100),
        KEYS,
        dict.fromkeys(KEYS, Spoilt.NOT_COMMITTED),
        False,
    ),
    "of another epoch": (committed(epoch=6), KEYS, dict.fromkeys(KEYS, Spoilt.MISMATCH), False),
    "a stranger": (
        committed(),
        {**KEYS, "rome": bytes(32)},
        {"rome": Spoilt.NOT_COMMITTED},
        True,
    ),
    "alone": (committed({"oslo": KEYS["oslo"]}), {"oslo": KEYS["oslo"]}, {}, False),
    "two keys of one institution": (
        [Commitment(who, "same", commit(7, who, key), 0) for who, key in KEYS.items()],
        KEYS,
        {},
        False,
    ),
    "a second commitment after seeing others": (
        [*committed(), Commitment("oslo", "of-oslo", commit(7, "oslo", bytes(32)), 50)],
        {**KEYS, "oslo": bytes(32)},
        {"oslo": Spoilt.MISMATCH},
        True,
    ),
    "a copied commitment, to cancel a key": (
        [one for one in committed() if one.auditor == "vienna"] + [COPY],
        {"vienna": KEYS["vienna"], "riga": KEYS["vienna"]},
        {"riga": Spoilt.MISMATCH},
        False,
    ),
}


@pytest.mark.parametrize("case", REVEALS.values(), ids=REVEALS)
def test_which_keys_count(case):
    commitments, reveals, spoilt, is_enough = case
    found = epoch_key(7, 100, commitments, {k: v for k, v in reveals.items() if v is not None})
    assert found.spoilt == spoilt
    assert (found.key is not None) is is_enough
    assert found.missing == sum(why is not Spoilt.NOT_COMMITTED for why in spoilt.values())


def test_a_key_has_32_bytes():
    with pytest.raises(ValueError, match="key: 31 bytes"):
        commit(1, "vienna", bytes(31))


@given(st.integers(1, SPACE), st.integers(0, 4))
def test_silence_buys_nothing(threshold, missing):
    """Whoever may choose between 2^missing draws passes all of them no more often than one draw before."""
    raised = under_silence(threshold, missing)
    assert threshold <= raised <= SPACE
    assert raised ** (2**missing) >= threshold * SPACE ** (2**missing - 1)
