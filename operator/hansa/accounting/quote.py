"""What a job will cost at most, in money, energy and CO₂, before anybody submits it."""

from __future__ import annotations

from dataclasses import dataclass

from hansa.accounting import amounts
from hansa.accounting.tariff import Tariff

HOUR_S = 3600


@dataclass(frozen=True, slots=True)
class CarbonFactor:
    """What a member declares of its power: who says so, and as of when."""

    grams_per_kwh: int
    as_of: str
    """ISO 8601 date of the figure."""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Demand:
    """What a job asks for. ``runtime_s``: the longest it may run, or what a person expects."""

    gpu_class: str
    gpus: int
    cpu_millis: int
    runtime_s: int


@dataclass(frozen=True, slots=True)
class Quote:
    """What one node would ask. None: not known, and nothing is made up."""

    node: str
    currency: str
    amount: int
    """Micros."""
    tariff_version: str
    energy_wh: int | None = None
    co2_grams: int | None = None
    factor: CarbonFactor | None = None


def quote(
    demand: Demand,
    tariff: Tariff,
    now_ms: int,
    *,
    watts: int | None = None,
    factor: CarbonFactor | None = None,
) -> Quote | None:
    """Return what a node asks for a job that begins now; None: it has no price for it.

    ``watts``: what one GPU of the class (or one CPU) draws there, as measured or declared.
    """
    rate = tariff.rate_at(demand.gpu_class, now_ms)
    if rate is None:
        return None
    units = demand.gpus * 1000 if demand.gpus else demand.cpu_millis
    amount = amounts.half_even(rate.per_hour * units * demand.runtime_s, 1000 * HOUR_S)
    energy = None
    if watts is not None:
        energy = amounts.half_even(watts * units * demand.runtime_s, 1000 * HOUR_S)
    grams = None
    if energy is not None and factor is not None:
        grams = amounts.half_even(energy * factor.grams_per_kwh, 1000)
    return Quote(
        node=tariff.node,
        currency=tariff.currency,
        amount=amount,
        tariff_version=tariff.version,
        energy_wh=energy,
        co2_grams=grams,
        factor=factor if grams is not None else None,
    )
