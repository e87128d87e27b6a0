"""What a node asks for, from when on, and what its price is made of.

A price is valid from a moment until the next one of the same class. A run pays the price that was
valid when it began, however long it lasts. A node that recovers costs says what each price is made
of, and a price that is not the sum of its parts is no cost recovery.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import rfc8785

CPU = ""
"""The class of work without GPUs: its price is for one CPU and hour."""


class PriceMode(StrEnum):
    """What a price claims to be."""

    PRICE = "Price"
    COST_RECOVERY = "CostRecovery"


@dataclass(frozen=True, slots=True)
class CostParts:
    """What an hour costs whoever offers it, in micros."""

    energy: int = 0
    depreciation: int = 0
    operation: int = 0

    @property
    def total(self) -> int:
        """The sum of the parts, in micros."""
        return self.energy + self.depreciation + self.operation


@dataclass(frozen=True, slots=True)
class Rate:
    """One price of one class. ``per_hour`` in micros; ``valid_from_ms`` 0: since ever."""

    gpu_class: str
    per_hour: int
    valid_from_ms: int = 0
    parts: CostParts | None = None


@dataclass(frozen=True, slots=True)
class Tariff:
    """All prices of one node."""

    node: str
    currency: str
    rates: tuple[Rate, ...]
    mode: PriceMode = PriceMode.PRICE

    @property
    def version(self) -> str:
        """Digest of what the tariff says: two that say the same are one version."""
        said = {
            "node": self.node,
            "currency": self.currency,
            "mode": self.mode.value,
            "rates": [_said(rate) for rate in sorted(self.rates, key=_order)],
        }
        return f"sha256:{hashlib.sha256(rfc8785.dumps(said)).hexdigest()}"

    def rate_at(self, gpu_class: str, moment_ms: int) -> Rate | None:
        """Return the price of a class at a moment; None: the node has none."""
        valid = (
            rate
            for rate in self.rates
            if rate.gpu_class == gpu_class and rate.valid_from_ms <= moment_ms
        )
        return max(valid, key=_order, default=None)


def faults(tariff: Tariff) -> tuple[str, ...]:
    """Return what is wrong with a tariff, a sentence each; empty: nothing."""
    found = [*_doubled(tariff.rates)]
    for rate in tariff.rates:
        name = f"the price of {rate.gpu_class or 'CPU'}"
        if rate.per_hour < 0:
            found.append(f"{name} is negative; write 0 for free use")
        if tariff.mode is PriceMode.COST_RECOVERY:
            found += _unexplained(name, rate)
    return tuple(found)


def _doubled(rates: Iterable[Rate]) -> Iterable[str]:
    seen: set[tuple[str, int]] = set()
    for rate in rates:
        key = (rate.gpu_class, rate.valid_from_ms)
        if key in seen:
            yield f"two prices of {rate.gpu_class or 'CPU'} begin at one moment; leave one"
        seen.add(key)


def _unexplained(name: str, rate: Rate) -> Iterable[str]:
    if rate.parts is None:
        yield f"{name} does not say what it is made of; name its parts, or use mode Price"
    elif rate.parts.total != rate.per_hour:
        yield f"{name} is not the sum of its parts; cost recovery takes no margin"


def _order(rate: Rate) -> tuple[int, str]:
    return rate.valid_from_ms, rate.gpu_class


def _said(rate: Rate) -> dict[str, str | None]:
    parts = rate.parts
    return {
        "class": rate.gpu_class,
        "perHour": str(rate.per_hour),
        "validFrom": str(rate.valid_from_ms),
        "parts": f"{parts.energy}+{parts.depreciation}+{parts.operation}" if parts else None,
    }
