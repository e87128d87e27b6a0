"""Drawn uses: a league of some institutions whose runs last five minutes at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np

from hansa.accounting.usage import Usage

BEGAN_MS = 1_793_491_200_000
CHUNK_MS = 300_000


def drawn(count: int, *, seed: int, institutions: int = 20) -> Iterator[Usage]:
    """Yield uses whose digests differ from those of any other seed."""
    draw = np.random.default_rng(seed)
    for number in range(count):
        payer, provider = (int(n) for n in draw.integers(0, institutions, 2))
        gpus = int(draw.choice((1, 2, 4, 8, 16)))
        start_ms = BEGAN_MS + CHUNK_MS * int(draw.integers(0, 8000))
        yield Usage(
            receipt_digest=f"sha256:{hashlib.sha256(f'{seed}/{number}'.encode()).hexdigest()}",
            node=f"node-{provider}",
            provider=f"member-{provider}",
            institution=f"member-{payer}",
            project=f"member-{payer}/study",
            job_uid=f"{seed:08x}-0000-4000-8000-{number // 12:012x}",
            job=f"member-{payer}/job-{number // 12}",
            epoch=1,
            began_ms=start_ms,
            start_ms=start_ms,
            end_ms=start_ms + CHUNK_MS,
            gpu_class="h100",
            gpus=gpus,
            gpu_ms=gpus * CHUNK_MS,
            cpu_ms=2 * gpus * CHUNK_MS,
            energy_j=gpus * 150_000,
            unit_price=2_400_000,
            tariff_version=f"sha256:{'0' * 64}",
            currency="EUR",
            data_sets=("scans",),
            jurisdiction="EE",
        )
