"""What one job used and costs, reckoned anew from its receipts: no rule of the product is used here.

Receipts are decoded by hand, money is a fraction until it is rounded once a receipt, and what
``hansa bill`` printed is read as a person reads it.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from itertools import pairwise
from typing import Any

MICROS = 1_000_000
HOUR_S = 3600
_TOTAL = re.compile(r"^Total (\S+) EUR$", re.MULTILINE)
_ROW = re.compile(r"sha256:[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Account:
    """One finished job's receipts and bill."""

    job: str
    node: str
    payer: str
    receipts: int
    seconds: int
    """From the acceptance of its run to its release."""
    gpu_seconds: int
    micros: int
    """What its receipts come to, in millionths of the currency."""
    price: str
    """Of one GPU for an hour."""
    faults: tuple[str, ...]
    """What is not as it has to be; nothing: all of it is."""

    @property
    def amount(self) -> str:
        """The amount in euros."""
        return f"{self.micros // MICROS}.{self.micros % MICROS:06d}"


def is_complete(bundle: Mapping[str, Any]) -> bool:
    """Tell whether the last receipt of a job's newest run is there."""
    found = [_receipt(one) for one in bundle["receipts"]]
    newest = max((one["work"]["epoch"] for one in found), default=0)
    return any(one["last"] for one in found if one["work"]["epoch"] == newest)


def billed_rows(bill: str) -> int:
    """Return how many receipts a printed bill has."""
    return len(_ROW.findall(bill))


def timed(bundle: Mapping[str, Any]) -> int:
    """Return how many receipts of a bundle cover any time: the others cost nothing and are not billed."""
    found = (_receipt(one) for one in bundle["receipts"])
    return sum(one["start"] != one["end"] for one in found)


def account_of(job: str, bundle: Mapping[str, Any], bill: str) -> Account:
    """Reckon a job's receipts and compare them with its bill."""
    found = sorted((_receipt(one) for one in bundle["receipts"]), key=_place)
    if not found:
        raise AssertionError(f"{job} has ended and has no receipt")
    micros = sum(_micros(one) for one in found)
    work = found[-1]["work"]
    faults = (*_untidy(found), *_unsettled(bundle["receipts"]), *_misbilled(bill, micros))
    return Account(
        job=job,
        node=work["node"],
        payer=work["institution"],
        receipts=len(found),
        seconds=sum(_seconds(one) for one in found),
        gpu_seconds=sum(one["usage"]["gpuSeconds"] for one in found),
        micros=micros,
        price=work["price"]["gpuHour"],
        faults=faults,
    )


def _untidy(receipts: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield where receipts do not tile their runs: each begins where the one before it ends."""
    runs: dict[int, list[Mapping[str, Any]]] = {}
    for one in receipts:
        runs.setdefault(one["work"]["epoch"], []).append(one)
    for epoch, parts in runs.items():
        if [one["part"] for one in parts] != list(range(1, len(parts) + 1)):
            yield f"run {epoch} has parts {[one['part'] for one in parts]}"
        for before, after in pairwise(parts):
            if before["end"] != after["start"]:
                yield f"run {epoch}: {before['end']} is followed by {after['start']}"
        if [one["last"] for one in parts] != [False] * (len(parts) - 1) + [True]:
            yield f"run {epoch} does not end with its last receipt"


def _unsettled(bundled: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for number, one in enumerate(bundled, 1):
        if len(one["envelope"]["signatures"]) != 2:  # the member's and the hub's
            yield f"receipt {number} is not countersigned"
        if not one.get("proof"):
            yield f"receipt {number} is not in the log"
        yield from (f"receipt {number}: {said}" for said in one.get("differences", ()))


def _misbilled(bill: str, micros: int) -> Iterator[str]:
    totals = [Fraction(text) * MICROS for text in _TOTAL.findall(bill)]
    if totals != [micros]:
        yield f"the receipts come to {micros} millionths, the bill says: {bill}"


def _receipt(bundled: Mapping[str, Any]) -> Mapping[str, Any]:
    statement = json.loads(base64.b64decode(bundled["envelope"]["payload"]))
    found: Mapping[str, Any] = statement["predicate"]
    return found


def _place(receipt: Mapping[str, Any]) -> tuple[int, int]:
    return receipt["work"]["epoch"], receipt["part"]


def _micros(receipt: Mapping[str, Any]) -> int:
    hourly = Fraction(receipt["work"]["price"]["gpuHour"])
    gpu_seconds: int = receipt["usage"]["gpuSeconds"]
    return round(hourly * gpu_seconds / HOUR_S * MICROS)


def _seconds(receipt: Mapping[str, Any]) -> int:
    begin, end = (datetime.fromisoformat(receipt[name]) for name in ("start", "end"))
    return int((end - begin).total_seconds())
