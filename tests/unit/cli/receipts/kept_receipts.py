"""Receipts as an institution keeps them."""

from __future__ import annotations

from hansa.receipts.countersign import GrantRecord
from tests.unit.receipts.receipt_kit import (
    DIGEST,
    NOW_S,
    UID,
    work,
)


def kept_record() -> GrantRecord:
    said = work()
    return GrantRecord(
        node=said.node,
        node_key=said.node_key,
        institution=said.institution,
        project="",
        job_uid=UID,
        epoch=1,
        spec_digest=DIGEST,
        image_digest=DIGEST,
        data_sets=said.data_sets,
        jurisdiction=said.jurisdiction,
        gpu_classes=("nvidia-l40s",),
        gpus=said.gpus,
        cpu_millis=said.cpu_millis,
        price=None,
        granted_s=NOW_S,
    )


class Later:
    """A clock that has seen what the receipts tell of."""

    def now(self) -> float:
        return NOW_S + 700.0
