"""A node's prices as its SovereignNode states them, past ones included: for the planner and the ledger."""

from __future__ import annotations

from collections.abc import Iterator

from hansa.accounting import amounts
from hansa.accounting.tariff import CPU, CostParts, PriceMode, Rate, Tariff, faults
from hansa.api.meta import GpuPrice, PriceParts
from hansa.api.sovereignnode import SovereignNodeSpec
from hansa.model.times import from_rfc3339

NEVER_MS = 1 << 53
"""When a price begins whose time cannot be read."""


def tariff_of(node: str, spec: SovereignNodeSpec) -> Tariff:
    """Return all prices of a node."""
    cpu = Rate(CPU, amounts.read(spec.cpu_hour_price))
    rates = (*(_rate(price) for price in spec.prices), *((cpu,) if cpu.per_hour else ()))
    return Tariff(node, spec.currency, rates, PriceMode(spec.price_mode))


def tariff_faults(tariff: Tariff) -> Iterator[str]:
    """Yield what is wrong with a node's prices, a sentence each."""
    yield from faults(tariff)
    for rate in tariff.rates:
        if rate.valid_from_ms == NEVER_MS:
            yield f"the price of {rate.gpu_class} is valid from no time; write validFrom as RFC 3339"


def prices_at(tariff: Tariff, now_s: float) -> dict[str, int]:
    """Return GPU class → micros for one GPU and hour, of the classes that have a price then."""
    classes = sorted({rate.gpu_class for rate in tariff.rates} - {CPU})
    found = {name: tariff.rate_at(name, int(now_s * 1000)) for name in classes}
    return {name: rate.per_hour for name, rate in found.items() if rate is not None}


def _rate(price: GpuPrice) -> Rate:
    begins_s = from_rfc3339(price.valid_from)
    parts = price.parts
    return Rate(
        price.gpu_class,
        amounts.read(price.per_gpu_hour),
        NEVER_MS if begins_s is None else int(begins_s * 1000),
        _parts(parts) if parts else None,
    )


def _parts(parts: PriceParts) -> CostParts:
    read = amounts.read
    return CostParts(read(parts.energy), read(parts.depreciation), read(parts.operation))
