"""FOCUS 1.2 (FinOps Open Cost and Usage Specification), one row a receipt and a correction.

There are no discounts and no commitments: list, contracted, effective and billed cost are one. A
correction is a charge of class Correction in the month that it was recorded in; so is the use of an
earlier month whose receipt came late.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from decimal import Decimal

from hansa.accounting import amounts
from hansa.accounting.exports.tables import csv_text, fixed, moment
from hansa.accounting.statement import Correction, Month
from hansa.accounting.usage import Usage

COLUMNS = (
    *("BilledCost", "BillingAccountId", "BillingAccountName", "BillingAccountType"),
    *("BillingCurrency", "BillingPeriodEnd", "BillingPeriodStart"),
    *("ChargeCategory", "ChargeClass", "ChargeDescription", "ChargeFrequency"),
    *("ChargePeriodEnd", "ChargePeriodStart", "ConsumedQuantity", "ConsumedUnit"),
    *("ContractedCost", "ContractedUnitPrice", "EffectiveCost", "InvoiceIssuerName"),
    *("ListCost", "ListUnitPrice", "PricingCategory", "PricingCurrency", "PricingQuantity"),
    *("PricingUnit", "ProviderName", "PublisherName", "RegionId", "RegionName"),
    *("ResourceId", "ResourceName", "ResourceType", "ServiceCategory", "ServiceName"),
    *("ServiceSubcategory", "SkuId", "SkuMeter", "SkuPriceDetails", "SkuPriceId"),
    *("SubAccountId", "SubAccountName", "SubAccountType", "Tags"),
    *("x_DataSets", "x_EnergyJoules", "x_Jurisdiction", "x_ReceiptDigest", "x_TariffVersion"),
)
_PLACES = 9
_SERVICE = {
    "ServiceCategory": "AI and Machine Learning",
    "ServiceSubcategory": "Machine Learning",
    "ServiceName": "Hansa compute",
    "PublisherName": "Hansa",
}


def focus_csv(month: Month, usages: Iterable[Usage], corrections: Iterable[Correction] = ()) -> str:
    """Return a month's charges as FOCUS 1.2."""
    rows = [_usage(month, usage) for usage in usages]
    rows += [_correction(month, row) for row in corrections]
    return csv_text(COLUMNS, ([row.get(name, "") for name in COLUMNS] for row in rows))


def _usage(month: Month, usage: Usage) -> Mapping[str, str]:
    what = usage.gpu_class or "CPU"
    is_late = usage.end_ms <= month.bounds_ms[0]
    unit = "GPU-Hours" if usage.gpus else "CPU-Hours"
    quantity = fixed(usage.used_ms, scale=amounts.HOUR_MS, places=_PLACES)
    price = amounts.text(usage.unit_price)
    return {
        **_common(month, usage.institution, usage.provider, usage.currency),
        **_costs(usage.amount),
        **dict.fromkeys(("ContractedCost", "ListCost"), _worth(usage.unit_price, quantity)),
        "ChargeCategory": "Usage",
        "ChargeClass": "Correction" if is_late else "",
        "ChargeDescription": f"{what} at {usage.node} for job {usage.job}",
        "ChargeFrequency": "Usage-Based",
        "ChargePeriodEnd": moment(usage.end_ms),
        "ChargePeriodStart": moment(usage.start_ms),
        "ConsumedQuantity": quantity,
        "ConsumedUnit": unit,
        "ContractedUnitPrice": price,
        "ListUnitPrice": price,
        "PricingCategory": "Standard",
        "PricingQuantity": quantity,
        "PricingUnit": unit,
        "RegionId": usage.jurisdiction,
        "RegionName": usage.jurisdiction,
        "ResourceId": usage.job_uid,
        "ResourceName": usage.job,
        "ResourceType": "AIJob",
        "SkuId": f"{usage.node}/{what}",
        "SkuMeter": f"{what} time",
        "SkuPriceDetails": json.dumps({"GpuCount": usage.gpus}) if usage.gpus else "{}",
        "SkuPriceId": f"{usage.node}/{what}/{usage.tariff_version}",
        "SubAccountId": usage.project,
        "SubAccountName": usage.project,
        "SubAccountType": "Project" if usage.project else "",
        "Tags": json.dumps({"job": usage.job, "node": usage.node}),
        "x_DataSets": json.dumps(usage.data_sets),
        "x_EnergyJoules": "" if usage.energy_j is None else str(usage.energy_j),
        "x_Jurisdiction": usage.jurisdiction,
        "x_ReceiptDigest": usage.receipt_digest,
        "x_TariffVersion": usage.tariff_version,
    }


def _worth(unit_price: int, quantity: str) -> str:
    """Return price times quantity, not rounded: a rule of FOCUS multiplies out what is told."""
    return format((amounts.decimal(unit_price) * Decimal(quantity)).normalize(), "f")


def _correction(month: Month, row: Correction) -> Mapping[str, str]:
    return {
        **_common(month, row.debtor, row.creditor, row.currency),
        **_costs(row.amount),
        "ChargeCategory": "Adjustment",
        "ChargeClass": "Correction",
        "ChargeDescription": row.note or f"correction of {row.receipt_digest}",
        "ChargeFrequency": "One-Time",
        "ChargePeriodEnd": moment(row.recorded_ms + 1000),
        "ChargePeriodStart": moment(row.recorded_ms),
        "Tags": "{}",
        "x_ReceiptDigest": row.receipt_digest,
    }


def _common(month: Month, account: str, provider: str, currency: str) -> Mapping[str, str]:
    start_ms, end_ms = month.bounds_ms
    return {
        **_SERVICE,
        "BillingAccountId": account,
        "BillingAccountName": account,
        "BillingAccountType": "Institution",
        "BillingCurrency": currency,
        "BillingPeriodEnd": moment(end_ms),
        "BillingPeriodStart": moment(start_ms),
        "InvoiceIssuerName": provider,
        "PricingCurrency": currency,
        "ProviderName": provider,
    }


def _costs(micros: int) -> Mapping[str, str]:
    return dict.fromkeys(
        ("BilledCost", "ContractedCost", "EffectiveCost", "ListCost"), amounts.text(micros)
    )
