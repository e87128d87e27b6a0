"""The Secret in which a member keeps results that wait for their release: what its keys mean.

Of each run ``RUN.json`` says what it is, ``RUN.result`` holds it as the job wrote it, and each ``RUN.KEY`` is one
owner's signature, which ``kubectl hansa release-result`` writes there; ``RUN.refused`` is an owner's no. One Secret
with one name: a right to read Secrets of any name would reach the node's keys.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from hansa.grants.held_result import HeldResult, commitment
from hansa.ports import Manifest

NAME = "hansa-results"
MOST_HELD = 64
"""Of 4 KiB each, with what is said of them: a Secret holds 1 MiB."""
_FACTS, _RESULT, _REFUSED = "json", "result", "refused"


@dataclass(frozen=True, slots=True)
class Kept:
    """One held result with what owners have said of it."""

    held: HeldResult
    result: str
    signatures: Mapping[str, str]
    """Key id → signature, base64."""
    is_refused: bool


def path(namespace: str) -> str:
    """Return where the Secret is."""
    return f"/api/v1/namespaces/{namespace}/secrets/{NAME}"


def entry(held: HeldResult, result: str) -> Manifest:
    """Return the merge patch that keeps a result."""
    facts = held.model_dump_json(by_alias=True)
    return _patch(held.run, {_FACTS: facts, _RESULT: result})


def signature(held: HeldResult, key_id: str, signature_b64: str) -> Manifest:
    """Return the merge patch by which an owner releases a result."""
    return _patch(held.run, {key_id.removeprefix("sha256:"): signature_b64})


def refusal(held: HeldResult) -> Manifest:
    """Return the merge patch by which somebody at the member refuses the release; it needs no key."""
    return _patch(held.run, {_REFUSED: "refused"})


def removal(secret: Mapping[str, Any], run: str) -> Manifest:
    """Return the merge patch that deletes a result and all that was said of it."""
    return {"data": dict.fromkeys(key for key in _data(secret) if key.startswith(f"{run}."))}


def runs(secret: Mapping[str, Any]) -> list[str]:
    """Return the runs of which results are kept, readable or not."""
    return sorted({key.partition(".")[0] for key in _data(secret)})


def read(secret: Mapping[str, Any], run: str) -> Kept | None:
    """Return a kept result; None where it is spoilt, or not the one whose digest was told."""
    said = {
        key.removeprefix(f"{run}."): _text(value)
        for key, value in _data(secret).items()
        if key.startswith(f"{run}.")
    }
    result = said.pop(_RESULT, None)
    try:
        held = HeldResult.model_validate_json(said.pop(_FACTS, None) or "")
    except ValidationError:
        return None
    if result is None or held.run != run or commitment(held.nonce, result) != held.digest:
        return None
    refused = said.pop(_REFUSED, None) is not None
    signatures = {f"sha256:{key}": text for key, text in said.items() if text is not None}
    return Kept(held, result, signatures, refused)


def _data(secret: Mapping[str, Any]) -> Mapping[str, Any]:
    data = secret.get("data")
    return data if isinstance(data, Mapping) else {}


def _patch(run: str, said: Mapping[str, str]) -> Manifest:
    return {
        "data": {
            f"{run}.{key}": base64.b64encode(text.encode()).decode() for key, text in said.items()
        }
    }


def _text(value: object) -> str | None:
    try:
        return base64.b64decode(str(value), validate=True).decode()
    except (binascii.Error, ValueError):
        return None
