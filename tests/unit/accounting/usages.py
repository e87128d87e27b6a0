"""Uses for the tests of the books: one plain one, and whatever is changed of it."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

from hansa.accounting.statement import Correction
from hansa.accounting.tariff import Rate, Tariff
from hansa.accounting.usage import Usage

BEGAN_MS = 1_793_491_200_000
"""2026-11-01T00:00:00Z."""
EUR = 1_000_000


def digest(name: object) -> str:
    return f"sha256:{hashlib.sha256(str(name).encode()).hexdigest()}"


TARIFF = Tariff("tartu", "EUR", (Rate("h100", 2_400_000), Rate("", 36_000)))


def usage(name: object = 1, **changes: Any) -> Usage:
    """Five minutes of two GPUs of a clinic's job at a university: 0.40 EUR."""
    fields: dict[str, Any] = {
        "receipt_digest": digest(name),
        "node": "tartu",
        "provider": "ut",
        "institution": "clinic",
        "project": "clinic/screening",
        "job_uid": "0f8c2f4e-7c1c-4f7b-9d9a-5d2f1e8a7b60",
        "job": "clinic/train",
        "epoch": 1,
        "began_ms": BEGAN_MS,
        "start_ms": BEGAN_MS,
        "end_ms": BEGAN_MS + 300_000,
        "gpu_class": "h100",
        "gpus": 2,
        "gpu_ms": 600_000,
        "cpu_ms": 1_200_000,
        "energy_j": 360_000,
        "unit_price": 2_400_000,
        "tariff_version": TARIFF.version,
        "currency": "EUR",
        "data_sets": ("scans",),
        "jurisdiction": "EE",
    }
    return Usage(**fields | changes)


USES = [
    usage(1),
    usage(2, gpu_ms=1001, data_sets=("a", "b")),
    usage(3, gpu_class="", gpus=0, gpu_ms=0),
]
USES[2] = replace(USES[2], unit_price=36_000, energy_j=None, project="")
CORRECTION = Correction(digest("c"), digest(1), "clinic", "ut", "EUR", -5, BEGAN_MS, "late tariff")
