"""Receipts and metered runs as lines of ConfigMaps, and back. Lines of another key are none of this chain."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TypeVar

from pydantic import ValidationError

from hansa.api.meta import Model
from hansa.api.node.receipts import ReceiptEnvelope as Envelope
from hansa.receipts.chain import Head
from hansa.receipts.metering import MeteredRun

log = logging.getLogger(__name__)
Parsed = TypeVar("Parsed", bound=Model)


def key_of(sequence: int) -> str:
    """Return under which key of a ConfigMap a receipt stands."""
    return f"{sequence:016d}"


def row_of(run: MeteredRun) -> str:
    """Return the line of a run."""
    return run.model_dump_json(by_alias=True, exclude_none=True)


def joined(known: MeteredRun, news: MeteredRun) -> MeteredRun:
    """Return a run covered as far as either says, with what either knows of its end."""
    ahead = known if known.parts >= news.parts else news
    return ahead.model_copy(
        update={
            "finished": known.finished or news.finished,
            "result_digest": known.result_digest or news.result_digest,
        }
    )


def sequences(lines: Mapping[str, str], key_id: str) -> tuple[set[int], set[int]]:
    """Return the sequences of the lines that a key signed, and of all others."""
    every = {int(key): line for key, line in lines.items() if key.isdecimal()}
    own = {sequence for sequence, line in every.items() if key_id in line}
    return own, every.keys() - own


def envelopes(lines: Mapping[str, str], key_id: str) -> dict[int, Envelope]:
    """Return the envelopes that a key signed, by sequence."""
    own = {int(key): line for key, line in lines.items() if key.isdecimal() and key_id in line}
    found = {sequence: parsed(Envelope, line) for sequence, line in own.items()}
    return {sequence: envelope for sequence, envelope in found.items() if envelope is not None}


def parsed(kind: type[Parsed], line: str) -> Parsed | None:
    """Return what a line holds, or None where a person or a disk has spoilt it."""
    try:
        return kind.model_validate_json(line)
    except ValidationError:
        log.exception("line spoilt", extra={"kind": kind.__name__})
        return None


def upto_of(head: Head, key_id: str) -> str:
    """Return the line that says up to which receipt the rows of a page are true."""
    return f"{head.sequence} {head.digest or '-'} {head.issued_s} {key_id}"


def head_of(line: str, key_id: str) -> Head:
    """Return what ``upto_of`` made; none of another key, and of a line that is spoilt."""
    sequence, digest, issued_s, key = [*line.split(), "", "", "", ""][:4]
    if key != key_id or not (sequence.isdecimal() and issued_s.isdecimal()):
        return Head()
    return Head(int(sequence), digest.strip("-"), int(issued_s))
