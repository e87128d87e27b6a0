"""The lines of a probe as the verifier writes and reads them: what comes back is another institution's, and bounded."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any, TypeGuard

from hansa.verification.probe.prover import Opened
from hansa.verification.probe.verifier import HASH_BYTES, Challenge

BACKENDS = ("cupy", "numpy", "torch")
MAX_ROOT_LINE = 1_024


@dataclass(frozen=True, slots=True)
class Committed:
    """A prover's first line."""

    root: bytes
    backend: str
    """What it says it multiplied with."""


def begin(challenge: Challenge) -> str:
    """Return the line that starts the clock."""
    return json.dumps({"seed": challenge.seed.hex(), "n": challenge.n})


def ask(challenge: Challenge, root: bytes) -> str:
    """Return the line that says which rows to open."""
    return json.dumps({"rows": challenge.drawn(root)})


def read_root(line: str) -> Committed:
    """Return what a prover commits to.

    Raises:
        ValueError: the line is no such commitment; the field is named.
    """
    said = _object(line, MAX_ROOT_LINE)
    root, backend = said.get("root"), said.get("backend")
    if not isinstance(root, str) or len(root) != 2 * HASH_BYTES:
        raise ValueError("root: 64 hexadecimal digits are needed")
    if backend not in BACKENDS:
        raise ValueError(f"backend: one of {', '.join(BACKENDS)} is needed")
    return Committed(bytes.fromhex(root), str(backend))


def read_opened(line: str, challenge: Challenge) -> Opened:
    """Return the rows a prover opens; ``judge`` looks at them.

    Raises:
        ValueError: the line is longer than any answer to this challenge, or is none.
    """
    depth = (challenge.n - 1).bit_length()
    said = _object(line, challenge.rows * (6 * challenge.n + 80 * depth) + MAX_ROOT_LINE)
    rows, paths = said.get("rows"), said.get("paths")
    if not _are_texts(rows):
        raise ValueError("rows: a list of texts is needed")
    if not isinstance(paths, list) or not all(_are_texts(path) for path in paths):
        raise ValueError("paths: a list of lists of texts is needed")
    return Opened(
        tuple(base64.b64decode(row, validate=True) for row in rows),
        tuple(tuple(bytes.fromhex(one) for one in path) for path in paths),
    )


def _object(line: str, most: int) -> dict[str, Any]:
    if len(line) > most:
        raise ValueError(f"line: {len(line)} characters, at most {most} are read")
    try:
        said = json.loads(line)
    except RecursionError:
        raise ValueError("line: nested too deeply") from None
    if not isinstance(said, dict):
        raise ValueError("line: a JSON object is needed")  # noqa: TRY004 - the text is wrong, no caller is
    return said


def _are_texts(value: object) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)
