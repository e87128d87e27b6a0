"""What is wrong with a use before it touches the books. A use with a fault is kept, and not posted.

Signatures, chains and machines sold twice are the receipts' business. Here is what only the books
know: prices, currencies, and how much anybody can use in a time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache

from hansa.accounting import amounts
from hansa.accounting.tariff import Tariff
from hansa.accounting.usage import Usage
from hansa.api.job.ray_shape import MOST_IN_GANG, MOST_ON_A_POD

DIGEST = re.compile(r"^sha256:[0-9a-f]{64}$", re.ASCII)
NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9@._:/-]{0,252}$", re.ASCII)
MOST_DATA_SETS = 256
LARGEST_NUMBER = 1 << 53
"""What JSON and every database can hold."""
MOST_GPUS = MOST_IN_GANG * MOST_ON_A_POD
"""The largest gang that the API lets anybody ask for has fewer."""


class Fault(StrEnum):
    """Why a use is not posted. The strings are API: labels of metrics, rows of the books."""

    MALFORMED = "Malformed"
    BAD_INTERVAL = "BadInterval"
    IN_THE_FUTURE = "InTheFuture"
    NEGATIVE = "Negative"
    MORE_THAN_TIME = "MoreThanTime"
    ABSURD_AMOUNT = "AbsurdAmount"
    UNKNOWN_CURRENCY = "UnknownCurrency"
    NO_TARIFF = "NoTariff"
    WRONG_PRICE = "WrongPrice"
    CONTRADICTS = "Contradicts"


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault, the field it is in, and a sentence that says what to do."""

    fault: Fault
    field: str
    message: str


@dataclass(frozen=True, slots=True)
class Terms:
    """What the league has agreed on, at one instant."""

    now_ms: int
    currencies: frozenset[str]
    tariffs: Mapping[str, Tariff] = field(default_factory=dict)
    """Node → tariff, with its past prices."""
    skew_ms: int = 60_000
    """Most that a member's clock may be ahead."""


def examine(usage: Usage, terms: Terms) -> tuple[Finding, ...]:
    """Return everything that is wrong with a use; empty: it may be posted."""
    return (*_form(usage), *_times(usage, terms), *_sizes(usage), *_price(usage, terms))


@lru_cache(4096)
def _is_name(text: str) -> bool:
    """Tell whether a text is a name; the same few are asked about in every receipt."""
    return NAME.match(text) is not None


def _form(usage: Usage) -> Iterator[Finding]:
    if not DIGEST.match(usage.receipt_digest):
        yield Finding(Fault.MALFORMED, "receiptDigest", "is not sha256: and 64 hex digits")
    for name in ("node", "provider", "institution", "job_uid", "job", "tariff_version"):
        if not _is_name(getattr(usage, name)):
            yield Finding(Fault.MALFORMED, name, "is no name; a receipt must say it")
    for name in ("project", "gpu_class", "jurisdiction"):
        if getattr(usage, name) and not _is_name(getattr(usage, name)):
            yield Finding(Fault.MALFORMED, name, "is no name; leave it out where there is none")
    if len(usage.data_sets) > MOST_DATA_SETS or not all(map(_is_name, usage.data_sets)):
        yield Finding(Fault.MALFORMED, "data_sets", f"are not {MOST_DATA_SETS} names at most")
    if (usage.gpus > 0) != bool(usage.gpu_class):
        yield Finding(Fault.MALFORMED, "gpuClass", "goes with GPUs, and GPUs go with it")


def _times(usage: Usage, terms: Terms) -> Iterator[Finding]:
    if not 0 <= usage.began_ms <= usage.start_ms < usage.end_ms:
        yield Finding(
            Fault.BAD_INTERVAL, "start", "must not be before the run began, and before the end"
        )
    if usage.end_ms > terms.now_ms + terms.skew_ms:
        ahead_s = (usage.end_ms - terms.now_ms) // 1000
        yield Finding(
            Fault.IN_THE_FUTURE, "end", f"lies {ahead_s} s ahead; set the member's clock right"
        )


def _sizes(usage: Usage) -> Iterator[Finding]:
    sizes = {name: getattr(usage, name) for name in ("gpus", "gpu_ms", "cpu_ms", "unit_price")}
    sizes |= {"epoch": usage.epoch, "energy_j": usage.energy_j or 0, "end": usage.end_ms}
    negative = [name for name, value in sizes.items() if value < 0]
    for name in negative:
        yield Finding(Fault.NEGATIVE, name, "is negative; corrections are entries of their own")
    for name in (name for name, value in sizes.items() if value > LARGEST_NUMBER):
        yield Finding(Fault.ABSURD_AMOUNT, name, "is beyond anything that can be counted")
    wall_ms = usage.end_ms - usage.start_ms
    if usage.gpu_ms > usage.gpus * wall_ms:
        text = f"{usage.gpu_ms} GPU-ms do not fit into {wall_ms} ms of {usage.gpus} GPUs"
        yield Finding(Fault.MORE_THAN_TIME, "gpuSeconds", text)
    if usage.gpus > MOST_GPUS or usage.amount > amounts.LARGEST:
        yield Finding(Fault.ABSURD_AMOUNT, "amount", "is beyond anything a run can cost")


def _price(usage: Usage, terms: Terms) -> Iterator[Finding]:
    if usage.currency not in terms.currencies:
        known = ", ".join(sorted(terms.currencies))
        yield Finding(
            Fault.UNKNOWN_CURRENCY,
            "currency",
            f"{usage.currency} is none of the league's ({known})",
        )
    tariff = terms.tariffs.get(usage.node)
    rate = tariff.rate_at(usage.gpu_class, usage.began_ms) if tariff else None
    if tariff is None:
        yield Finding(Fault.NO_TARIFF, "node", f"the league has no node {usage.node}")
        return
    # Whoever names no price asks for none.
    valid = rate.per_hour if rate else 0
    if (valid, tariff.currency) != (usage.unit_price, usage.currency):
        asked = f"{amounts.text(usage.unit_price)} {usage.currency}"
        text = (
            f"{asked} is asked, {amounts.text(valid)} {tariff.currency} was valid as the run began"
        )
        yield Finding(Fault.WRONG_PRICE, "unitPrice", text)
