"""What a capacity probe costs both sides, and what skipping rows gains."""

from __future__ import annotations

import time
from collections.abc import Callable
from operator import itemgetter
from typing import TypeVar

import numpy as np

from hansa.verification.probe.prover import Prover
from hansa.verification.probe.verifier import Challenge, judge

T = TypeVar("T")
PROOFS, CHECKS = 3, 9
SKIPPED = 0.05


def measure(n: int, draws: int, seed: int) -> dict[str, object]:
    """Prove some times, check some times, and draw the rows of many probes.

    Times are CPU times over all threads, the least of some: what else the machine does takes caches away, and makes
    either twice as dear at times. ``prove_ms`` is from seed to root, matrices included. ``verify_ms`` is the judgement
    with the matrices at hand: the verifier makes them before it sends the seed, which is ``prepare_ms``.
    """
    random = np.random.default_rng(seed)
    challenge = Challenge(random.bytes(32), random.bytes(32), n)
    prepare_ms, _ = _least(1, lambda: challenge.matrices)
    prove_ms, prover = _least(PROOFS, lambda: Prover(challenge.seed, n))
    opened = prover.open(challenge.drawn(prover.root))
    verify_ms, judgement = _least(
        CHECKS, lambda: judge(challenge, prover.root, opened, took_ms=0, limit_ms=0)
    )
    if judgement.refusal is not None:
        raise AssertionError(f"an honest probe is refused: {judgement.why}")
    return {
        "n": n,
        "rows": challenge.rows,
        "backend": prover.backend,
        "prepare_ms": round(prepare_ms, 2),
        "prove_ms": round(prove_ms, 1),
        "verify_ms": round(verify_ms, 2),
        "escape_5pct": _escapes(n, challenge.rows, draws, random),
        "draws": draws,
    }


def _least(times: int, work: Callable[[], T]) -> tuple[float, T]:
    timed = []
    for _ in range(times):
        since = time.process_time()
        done = work()
        timed.append(((time.process_time() - since) * 1000, done))
    return min(timed, key=itemgetter(0))


def _escapes(n: int, rows: int, draws: int, random: np.random.Generator) -> float:
    """Return how often none of the rows that a prover skipped is drawn."""
    skipped = set(random.permutation(n)[: int(n * SKIPPED)].tolist())
    escaped = 0
    for _ in range(draws):
        challenge = Challenge(bytes(32), random.bytes(32), n, rows)
        escaped += skipped.isdisjoint(challenge.drawn(bytes(32)))
    return escaped / draws
