"""What a run's receipts say of it from the first to the last: from its grant, and the node's terms then."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import rfc8785
from pydantic import TypeAdapter, ValidationError

from hansa.api.meta import Assurance, GpuPrice
from hansa.api.workgrant import WorkGrantSpec
from hansa.grants.capacity import cpu_millis_wanted, gpus_wanted
from hansa.grants.envelope import digest
from hansa.model.times import from_rfc3339
from hansa.receipts.work_receipt import Price, Work

_PRICES = TypeAdapter(tuple[GpuPrice, ...])
TARIFF_FIELDS = ("prices", "cpuHourPrice", "currency")


@dataclass(frozen=True, slots=True)
class Terms:
    """What the node is, and under which terms it took the work."""

    node_key: str
    jurisdiction: str
    gpu_class: str
    node_spec: Mapping[str, Any] | None
    """Of the node's SovereignNode, as the hub showed it; None: it never did."""
    begin_s: float = 0.0
    """When the run began: its price is the one that was valid then."""
    assurance: Assurance = "L0"
    """What the league said then that the node has shown."""


def work_of(spec: WorkGrantSpec, terms: Terms) -> Work:
    """Return what the receipts of a granted run describe."""
    job, gpus = spec.job_spec, gpus_wanted(spec)
    gpu_class = (terms.gpu_class or job.ray.workers.gpu_class) if gpus else None
    return Work(
        league=spec.issuer,
        node=spec.node,
        node_key=terms.node_key,
        institution=spec.institution,
        project=spec.project,
        job_uid=spec.job.uid,
        epoch=spec.epoch,
        spec_digest=spec.spec_digest,
        image_digest=job.image.rpartition("@")[2],
        data_sets=tuple(sorted({source.name for source in job.data})),
        jurisdiction=terms.jurisdiction,
        purpose=purpose_of(spec),
        gpu_class=gpu_class,
        gpus=gpus,
        cpu_millis=cpu_millis_wanted(spec),
        assurance=terms.assurance,
        price=price_of(terms.node_spec, gpu_class, terms.begin_s),
    )


def purpose_of(spec: WorkGrantSpec) -> str:
    """Return the purpose by which a grant's data was released; empty: none was asked for."""
    signed = spec.job_spec.authorizations
    return signed[0].purpose if signed else ""


def price_of(
    node_spec: Mapping[str, Any] | None, gpu_class: str | None, begin_s: float
) -> Price | None:
    """Return the price that a SovereignNode's spec asks of a run that begins then, in seconds since the epoch.

    None where a hub shows none that can be read.
    """
    if node_spec is None:
        return None
    tariff = {name: node_spec[name] for name in TARIFF_FIELDS if name in node_spec}
    try:
        prices = _PRICES.validate_python(tariff.get("prices") or ())
        return Price(
            gpu_hour=_valid(prices, gpu_class, begin_s),
            cpu_hour=tariff.get("cpuHourPrice", "0"),
            currency=tariff.get("currency", "EUR"),
            tariff=digest(tariff),
        )
    except (ValidationError, rfc8785.CanonicalizationError, RecursionError):
        return None


def _valid(prices: Iterable[GpuPrice], gpu_class: str | None, begin_s: float) -> str | None:
    """Return the price of a class that began last before the run did."""
    begun = [
        (since, price.per_gpu_hour)
        for price in prices
        if price.gpu_class == gpu_class
        and (since := from_rfc3339(price.valid_from)) is not None
        and since <= begin_s
    ]
    return max(begun, key=itemgetter(0))[1] if begun else None
