"""Receipts, chains and grants for tests."""

from __future__ import annotations

from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hansa.adapters.keys import Ed25519Signer
from hansa.model.times import rfc3339
from hansa.receipts.bundle import Bundle, BundledReceipt
from hansa.receipts.chain import Grant, Head, Known, Moment
from hansa.receipts.envelope import Opened, cosign, seal, unseal
from hansa.receipts.metering import MeteredRun, Sight, draw, due
from hansa.receipts.work_receipt import HeldGpu, Price, Work, WorkReceipt

NOW_S = 1_800_000_000
NODE = Ed25519Signer(Ed25519PrivateKey.from_private_bytes(b"n" * 32))
HUB = Ed25519Signer(Ed25519PrivateKey.from_private_bytes(b"h" * 32))
OTHER = Ed25519Signer(Ed25519PrivateKey.from_private_bytes(b"o" * 32))
KEYS = {signer.key_id: signer.public_key for signer in (NODE, HUB)}
UID = "0f8c2f4e-7c1c-4f7b-9d9a-5d2f1e8a7b60"
DIGEST = "sha256:" + "a" * 64
PRICE = Price(gpu_hour="1.5", cpu_hour="0.1", currency="EUR", tariff=DIGEST)
GRANT = Grant(NOW_S, DIGEST, NODE.key_id, PRICE)
SKEW_S = 30.0


def work(**changes: Any) -> Work:
    said: dict[str, Any] = {
        "league": HUB.key_id,
        "node": "tartu",
        "node_key": NODE.key_id,
        "institution": "hospital",
        "job_uid": UID,
        "epoch": 1,
        "spec_digest": DIGEST,
        "image_digest": DIGEST,
        "data_sets": ("cohort",),
        "jurisdiction": "EE",
        "purpose": "Sõeluuring 2027",
        "gpu_class": "nvidia-l40s",
        "gpus": 2,
        "cpu_millis": 3000,
        "assurance": "L1",
        "price": PRICE,
    }
    return Work(**said | changes)


def held(name: str, start_s: int, end_s: int) -> HeldGpu:
    return HeldGpu(gpu=name * 16, start=rfc3339(start_s), end=rfc3339(end_s))


def receipts(
    run: MeteredRun,
    *sights: Sight,
    head: Head = Head(),  # noqa: B008  # frozen
) -> list[WorkReceipt]:
    """Return the receipts that a run gets as it is seen, one chain."""
    found = []
    for sight in sights:
        for stretch in due(run, sight):
            receipt = draw(head, run, sight, stretch)
            head = head_after(receipt)
            run = run.after(receipt)
            found.append(receipt)
    return found


def head_after(receipt: WorkReceipt) -> Head:
    return Head(receipt.sequence, opened(receipt).digest, receipt.issued_s)


def run_of(**changes: Any) -> MeteredRun:
    return MeteredRun(work=work(**changes), until=rfc3339(NOW_S))


def history(**changes: Any) -> list[WorkReceipt]:
    """Return the three receipts of a run of eleven minutes."""
    ended = {"over": True, "ended_s": NOW_S + 650, "end_reason": "Succeeded"}
    sights = (
        Sight(NOW_S + 300, held=(held("a", NOW_S + 10, NOW_S + 290),), energy_joules=90_000),
        Sight(NOW_S + 600, held=(held("a", NOW_S + 290, NOW_S + 590),), energy_joules=100_000),
        Sight(NOW_S + 660, **ended),
    )
    return receipts(run_of(**changes), *sights)


def opened(receipt: WorkReceipt, signer: Ed25519Signer = NODE) -> Opened:
    found = unseal(seal(receipt, signer), {signer.key_id: signer.public_key})
    assert isinstance(found, Opened), found
    return found


def later(receipt: WorkReceipt) -> Moment:
    return Moment(float(receipt.issued_s + 5), SKEW_S)


def changed(receipt: WorkReceipt, **changes: Any) -> WorkReceipt:
    """Return a receipt with other fields, checked again."""
    body = receipt.model_dump() | changes
    return WorkReceipt.model_validate(body)


START = Known()
Chain = list[WorkReceipt]


def bundle(*receipts: WorkReceipt, both: bool = True, **more: Any) -> Bundle:
    sealed = [seal(receipt, NODE) for receipt in receipts]
    return Bundle(
        receipts=tuple(
            BundledReceipt(envelope=cosign(one, HUB) if both else one, **more) for one in sealed
        ),
        keys=KEYS,
    )


def drawn_chain(dice: np.random.Generator) -> Chain:
    """Return a chain of two runs of two GPUs side by side, with receipts as the clock drew them."""
    runs = [MeteredRun(work=work(epoch=epoch), until=rfc3339(NOW_S)) for epoch in (1, 2)]
    chain: Chain = []
    head, now_s, ends = Head(), NOW_S, dice.integers(3, 12, 2).tolist()
    for turn in range(max(ends)):
        now_s += int(dice.integers(301, 600))
        for at, gpu in enumerate("ab"):
            if turn >= ends[at]:
                continue
            seen = (held(gpu, now_s - 200, now_s - 1),)
            is_over = turn == ends[at] - 1
            sight = Sight(now_s, over=is_over, end_reason="Succeeded", held=seen)
            for stretch in due(runs[at], sight):
                receipt = draw(head, runs[at], sight, stretch)
                head, runs[at] = head_after(receipt), runs[at].after(receipt)
                chain.append(receipt)
    return chain


def relinked(chain: Chain, at: int, **changes: Any) -> Chain:
    """Return a chain of which one receipt says otherwise and those behind follow it, as a cheat would sign it."""
    found: Chain = []
    for place, receipt in enumerate(chain):
        told = changes if place == at else {}
        digest = head_after(found[-1]).digest if found else None
        found.append(changed(receipt, sequence=place + 1, previous=digest, **told))
    return found
