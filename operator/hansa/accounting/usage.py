"""One receipt's worth of use, as the books see it. What proved it is the receipts' business."""

from __future__ import annotations

from dataclasses import dataclass

from hansa.accounting import amounts
from hansa.receipts.work_receipt import WorkReceipt


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What one run used in ``[start_ms, end_ms)``. Times are milliseconds since the Unix epoch."""

    receipt_digest: str
    """``sha256:…`` of the receipt: what it is known by, and posted once by."""
    node: str
    provider: str
    """Institution that operates the node: is owed."""
    institution: str
    """Institution the work is charged to: owes."""
    project: str = ""
    """``namespace/name``; empty: none."""
    job_uid: str
    job: str
    """``namespace/name``, for people."""
    epoch: int
    began_ms: int
    """When the run began: its price is the one that was valid then."""
    start_ms: int
    end_ms: int
    gpu_class: str = ""
    """Empty for work without GPUs, which is charged by CPU."""
    gpus: int = 0
    gpu_ms: int = 0
    cpu_ms: int = 0
    energy_j: int | None = None
    """None: the machine does not tell."""
    unit_price: int
    """Micros for one GPU and hour; for work without GPUs, for one CPU and hour."""
    tariff_version: str
    currency: str
    data_sets: tuple[str, ...] = ()
    jurisdiction: str = ""

    @property
    def used_ms(self) -> int:
        """What the price is for: GPU-milliseconds, or CPU-milliseconds where it has no GPUs."""
        return self.gpu_ms if self.gpus else self.cpu_ms

    @property
    def amount(self) -> int:
        """What it costs, in micros; rounded here and nowhere later."""
        return amounts.cost(self.unit_price, self.used_ms)


def price_of(receipt: WorkReceipt) -> tuple[int, str]:
    """Return what a receipt says that an hour costs, in micros, and in which currency.

    It is for one GPU, or for one CPU where it has none. Without a price it is free.
    """
    work, price = receipt.work, receipt.work.price
    if price is None:
        return 0, "EUR"
    return amounts.read((price.gpu_hour or "0") if work.gpus else price.cpu_hour), price.currency


def amount_of(receipt: WorkReceipt) -> int:
    """Return what a receipt costs, in micros, as the books work it out: see ``Usage.amount``."""
    used = receipt.usage
    used_ms = used.gpu_seconds * 1000 if receipt.work.gpus else used.cpu_milliseconds
    return amounts.cost(price_of(receipt)[0], used_ms)
