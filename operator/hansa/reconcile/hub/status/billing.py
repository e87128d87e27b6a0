"""What a job used and costs: the member's figures, cut to what the hub itself can bear out.

A run pays the price that was valid when it began, as in its receipts. A job may run more than once. What epochs that are over used stays in its status (``earlier``), so that
usage, cost and budget are those of the whole job and not of its last run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from hansa.api.aijob import AIJobSpec
from hansa.grants.capacity import cpu_millis_of
from hansa.model.snapshot import Site
from hansa.reconcile.hub.grant_view import GrantView
from hansa.reconcile.hub.job_view import shape_of
from hansa.reconcile.hub.nodes import ParsedNode, priced

HOUR_S = 3600
MICROS = 1_000_000


@dataclass(frozen=True, slots=True)
class Bill:
    """What a run, or all runs of a job, used and cost."""

    gpu_seconds: int
    wall_seconds: int
    cost_micros: int
    currency: str

    def __add__(self, other: Bill) -> Bill:
        return Bill(
            self.gpu_seconds + other.gpu_seconds,
            self.wall_seconds + other.wall_seconds,
            self.cost_micros + other.cost_micros,
            other.currency,
        )


UNUSED = Bill(0, 0, 0, "")


def bill(
    spec: AIJobSpec, grant: GrantView, node: ParsedNode | None, now_s: float, *, currency: str
) -> Bill:
    """Return usage and cost of a grant. No member can report more than its gang could have used.

    A run holds its gang from when the node accepted it, also while images are pulled. One that was
    interrupted, or still goes on, reports no GPU-seconds.
    """
    elapsed = max(0, int(now_s - grant.granted_s))
    gang = grant.workers * spec.ray.workers.gpus
    started, ended = grant.bound_s(now_s), grant.finished_s(now_s) or now_s
    wall = min(elapsed, max(0, int(ended - started))) if started is not None else 0
    told = grant.status.gpu_seconds
    is_told = grant.holds("Succeeded") or grant.holds("Failed")
    gpu_seconds = min(told if is_told else max(told, gang * wall), gang * elapsed)
    used = gpu_seconds or wall
    site = priced(node, started or now_s) if node is not None else None
    micros = _cost(spec, grant, site, gpu_seconds, wall) if used and site is not None else 0
    return Bill(gpu_seconds, wall, micros, currency)


def earlier(status: Mapping[str, Any]) -> Bill:
    """Return what those epochs of a job used that are over."""
    told = status.get("earlier")
    if not told:
        return UNUSED
    cost = told.get("cost") or {}
    return Bill(
        gpu_seconds=int(told.get("gpuSeconds", 0)),
        wall_seconds=int(told.get("wallSeconds", 0)),
        cost_micros=int(Decimal(str(cost.get("amount", "0"))) * MICROS),
        currency=str(cost.get("currency", "")),
    )


def so_far(status: Mapping[str, Any], run: Bill) -> dict[str, Any]:
    """Return the status fields for a job whose present run used ``run``."""
    total = earlier(status) + run
    return {"usage": _usage(total), "cost": _amount(total)}


def settled(status: Mapping[str, Any], run: Bill | None) -> dict[str, Any]:
    """Return the status fields once the present run is over too. ``run`` None: there was none."""
    total = earlier(status) + run if run else earlier(status)
    if not (total.wall_seconds or total.gpu_seconds):
        return {}
    return {
        "usage": _usage(total),
        "cost": _amount(total),
        "earlier": _usage(total) | {"cost": _amount(total)},
    }


def decimal(micros: int) -> str:
    """Return millionths as a decimal number.

    >>> decimal(1_250_000)
    '1.25'
    """
    whole, part = divmod(micros, MICROS)
    return f"{whole}.{part:06d}".rstrip("0").rstrip(".")


def _usage(bill: Bill) -> dict[str, Any]:
    return {"gpuSeconds": bill.gpu_seconds, "wallSeconds": bill.wall_seconds}


def _amount(bill: Bill) -> dict[str, Any]:
    return {"amount": decimal(bill.cost_micros), "currency": bill.currency}


def _cost(spec: AIJobSpec, grant: GrantView, site: Site, gpu_seconds: int, wall: int) -> int:
    if spec.ray.workers.gpus:
        return gpu_seconds * _gpu_price(spec, site) // HOUR_S
    return cpu_millis_of(spec.ray, grant.workers) * wall * site.cpu_hour_price // (1000 * HOUR_S)


def _gpu_price(spec: AIJobSpec, site: Site) -> int:
    shape = shape_of(spec)
    fitting = {
        machine.gpu_class for machine in site.machines if machine.gpus and shape.accepts(machine)
    }
    return min((site.gpu_hour_price.get(name, 0) for name in fitting), default=0)
