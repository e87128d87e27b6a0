"""A probe whose whole answer fits a job's result: one byte for every row instead of a root, and nothing to open.

The answer commits to all rows at once, and the rows that are drawn afterwards the verifier multiplies itself. At n =
4096 that is a sixteenth of the product, and saves a second exchange with a run that has ended, for which members have
no door. A tag of one byte is right by chance once in 256 times, which hides nothing among 128 of them.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass

import numpy as np

from hansa.verification.probe.prover import exact, rows_per_tag, tag
from hansa.verification.probe.verifier import Challenge, Judgement, Refusal

BACKENDS = ("cupy", "numpy", "torch")
LARGEST_SIZE = 8_192
"""Of matrices: checking takes seconds and some hundred MiB there."""


@dataclass(frozen=True, slots=True)
class Tagged:
    """What a run commits to."""

    tags: bytes
    backend: str
    """What it says it multiplied with."""


def read_tags(text: str) -> Tagged:
    """Return what the result of a run commits to.

    Raises:
        ValueError: it is no such result; the field is named.
    """
    try:
        said = json.loads(text)
    except RecursionError:
        raise ValueError("result: nested too deeply") from None
    if not isinstance(said, dict) or not isinstance(said.get("tags"), str):
        raise ValueError("tags: a text is needed")  # noqa: TRY004 - the text is wrong, no caller is
    if said.get("backend") not in BACKENDS:
        raise ValueError(f"backend: one of {', '.join(BACKENDS)} is needed")
    try:
        return Tagged(base64.b64decode(said["tags"], validate=True), said["backend"])
    except ValueError as error:
        raise ValueError(f"tags: {error}") from None


def judge_tags(challenge: Challenge, said: bytes, *, took_ms: int, limit_ms: int) -> Judgement:
    """Return whether the probe is passed. ``said``: the tags that the node has committed to.

    ``took_ms``: from the sending of the seed to the tags, by the verifier's clock.
    """
    size = rows_per_tag(challenge.n)
    count = -(-challenge.n // size)
    if len(said) != count:
        return Judgement(Refusal.MALFORMED, f"{len(said)} tags, {count} are needed")
    drawn = challenge.drawn(said, count)
    a, b = challenge.matrices
    blocks = [a[at * size : (at + 1) * size] for at in drawn]
    product = exact(np.concatenate(blocks), b).astype("<i4")
    at = 0
    for index, block in zip(drawn, blocks, strict=True):
        if tag(product[at : at + len(block)]) != said[index : index + 1]:
            why = f"rows {index * size} to {index * size + len(block) - 1} are not of the product"
            return Judgement(Refusal.WRONG_PRODUCT, why)
        at += len(block)
    if took_ms > limit_ms:
        return Judgement(Refusal.TOO_SLOW, f"took {took_ms} ms, {limit_ms} ms were allowed")
    rows = f"{len(product)} rows of {challenge.n} are exact"
    return Judgement(None, f"{rows}, in {took_ms} ms")
