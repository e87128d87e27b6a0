"""A ComputePool as the hub reads it: the planner's ``Pool``, and the bounds on contracts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from pydantic import ValidationError

from hansa.api.computepool import ComputePoolSpec
from hansa.api.texts import first_fault
from hansa.model.snapshot import Cap, Pool, PreemptionRule, Share
from hansa.reconcile.hub.nodes import residency_rule


class PoolTerms(NamedTuple):
    """All of a pool by which a request is found sound or not, whatever is free and whoever may go where."""

    name: str
    max_unattended_s: int
    overlays: frozenset[str]
    """Their names."""


@dataclass(frozen=True, slots=True)
class ParsedPool:
    """A ComputePool, read once a resourceVersion."""

    pool: Pool
    generation: int
    max_unattended_s: int
    overlays: tuple[Mapping[str, Any], ...] = ()
    """As on the wire: they travel inside grants."""
    fault: str = ""

    @property
    def terms(self) -> PoolTerms:
        """What requests are checked against."""
        return PoolTerms(self.pool.name, self.max_unattended_s, frozenset(self.pool.overlays))


def terms_of(pools: Mapping[str, ParsedPool]) -> dict[str, PoolTerms]:
    """Return the terms of each pool by name."""
    return {name: row.terms for name, row in pools.items()}


def parse_pool(manifest: Mapping[str, Any]) -> ParsedPool:
    """Read a ComputePool; never raises. A pool that cannot be read admits nobody."""
    meta, wire = manifest["metadata"], manifest.get("spec") or {}
    generation = meta.get("generation", 0)
    try:
        spec = ComputePoolSpec.model_validate(wire)
    except ValidationError as error:
        closed = Pool(meta["name"], site_names=frozenset())
        return ParsedPool(closed, generation, 0, fault=first_fault(error))
    return ParsedPool(
        pool=_pool(meta["name"], spec),
        generation=generation,
        max_unattended_s=spec.disconnection.max_unattended_seconds,
        overlays=tuple(wire.get("overlays") or ()),
    )


def _pool(name: str, spec: ComputePoolSpec) -> Pool:
    names, jurisdictions = spec.nodes.names, spec.nodes.jurisdictions
    return Pool(
        name=name,
        site_names=frozenset(names) if names else None,
        site_jurisdictions=frozenset(jurisdictions) if jurisdictions else None,
        shares=_shares(spec),
        cohort_parents={cohort.name: cohort.parent or "" for cohort in spec.cohorts},
        ceiling=residency_rule(spec.residency),
        overlays={overlay.name: frozenset(overlay.places) for overlay in spec.overlays},
        caps=tuple(Cap(cap.dimension, cap.max_percent) for cap in spec.caps),
        preemption=PreemptionRule(
            lower_priority=spec.preemption.policy in ("LowerPriority", "LowerPriorityOrBorrowers"),
            borrowers=spec.preemption.policy in ("Borrowers", "LowerPriorityOrBorrowers"),
            min_runtime_s=spec.preemption.min_runtime_seconds,
            max_per_hour=spec.preemption.max_per_hour,
            patience_s=spec.preemption.patience_seconds,
        ),
        assurance=int(spec.assurance[1:]),
        gpu_classes=frozenset(spec.gpu_classes),
        usage_half_life_s=spec.usage_half_life_hours * 3600 if spec.usage_half_life_hours else None,
    )


def _shares(spec: ComputePoolSpec) -> tuple[Share, ...]:
    return tuple(
        Share(
            institution=row.institution,
            cohort=row.cohort or "",
            nominal_gpus=row.nominal_gpus,
            borrowing_limit=row.borrowing_limit_gpus,
            lending_limit=row.lending_limit_gpus,
            weight=row.weight,
        )
        for row in spec.institutions
    )
