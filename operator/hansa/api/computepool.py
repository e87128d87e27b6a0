"""``ComputePool``: nodes shared under common rules, and who may use how much of them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from hansa.api.meta import (
    Assurance,
    Condition,
    GpuClass,
    JurisdictionOrBloc,
    Model,
    Name,
    Rule,
    checked,
    keyed,
    rule,
)
from hansa.api.residency import Overlay, Residency, nested_overlays_exist

Percent = Annotated[int, Field(ge=1, le=100)]


class NodeSelector(Model):
    """Which nodes belong; every given list must match, an empty list matches all."""

    names: tuple[Name, ...] = Field(default=(), max_length=1024, description="Nodes by name.")
    jurisdictions: tuple[JurisdictionOrBloc, ...] = Field(
        default=(),
        max_length=64,
        description="Nodes that stand in one of these countries, regions or blocs.",
    )


class InstitutionShare(Model):
    """One institution's share of the pool, in GPUs."""

    model_config = ConfigDict(
        json_schema_extra={
            **keyed("institution"),
            **checked(
                rule(
                    "!has(self.lendingLimitGpus) || self.lendingLimitGpus <= self.nominalGpus",
                    "lendingLimitGpus must not exceed nominalGpus: nobody lends more than their own",
                    field_path=".lendingLimitGpus",
                )
            ),
        }
    )

    institution: Name = Field(description="Institution, as its namespaces are labelled.")
    cohort: Name | None = Field(
        default=None, description="Institutions of a cohort lend to each other first."
    )
    nominal_gpus: int = Field(default=0, ge=0, le=1_000_000, description="GPUs it may always use.")
    borrowing_limit_gpus: int | None = Field(
        default=None,
        ge=0,
        le=1_000_000,
        description="Most it may use beyond nominal; absent: no limit.",
    )
    lending_limit_gpus: int | None = Field(
        default=None, ge=0, le=1_000_000, description="Most of its nominal it lends; absent: all."
    )
    weight: int = Field(
        default=1, ge=1, le=1000, description="Weight in the fair share of spare GPUs."
    )


class Cohort(Model):
    """A group of institutions, possibly inside another."""

    model_config = ConfigDict(
        json_schema_extra={
            **keyed("name"),
            **checked(
                rule(
                    "!has(self.parent) || self.parent != self.name",
                    "a cohort cannot enclose itself; leave parent out for the pool",
                    field_path=".parent",
                )
            ),
        }
    )

    name: Name = Field(description="Cohort name.")
    parent: Name | None = Field(default=None, description="Enclosing cohort; absent: the pool.")


class ConcentrationCap(Model):
    """The most of the pool's capacity that work may hold at one operator, vendor or jurisdiction."""

    model_config = ConfigDict(json_schema_extra=keyed("dimension"))

    dimension: Literal["Operator", "Vendor", "Jurisdiction"] = Field(description="What is capped.")
    max_percent: Percent = Field(description="Per cent of the pool's GPU capacity.")


class Preemption(Model):
    """When running work may be stopped for other work."""

    policy: Literal["Never", "LowerPriority", "Borrowers", "LowerPriorityOrBorrowers"] = Field(
        default="Never", description="Who may be preempted."
    )
    min_runtime_seconds: int = Field(
        default=600, ge=0, le=86_400, description="A job is safe for this long after it started."
    )
    max_per_hour: int = Field(
        default=10, ge=0, le=10_000, description="Preemptions an institution may cause per hour."
    )
    patience_seconds: int = Field(
        default=0,
        ge=0,
        le=86_400,
        description="A job waits this long for room to come free before others are stopped for it.",
    )


class Disruption(Model):
    """Bounds that the pool sets on the jobs' disconnection contracts."""

    max_unattended_seconds: int = Field(
        default=2_592_000, ge=60, le=2_592_000, description="Longest contract a job may ask for."
    )


class Verification(Model):
    """How much of the pool's work is run again."""

    floor_percent: int = Field(
        default=1,
        ge=0,
        le=100,
        description="Least share of runs that is audited, in per cent; what a provider could gain by"
        " cheating raises it.",
    )
    audit_days: int = Field(
        default=7,
        ge=1,
        le=90,
        description="Days until an audit is given up, beside eight times the time limit of the job itself: it is"
        " Inconclusive then, which pays the run. Each node that is asked has a twelfth of it at most to begin with.",
    )


def _overlays_exist(test: str, side: str) -> Rule:
    return rule(
        f"self.residency.{test}.{side}.all(p, !p.startsWith('overlay/') ||"
        " self.overlays.exists(o, 'overlay/' + o.name == p))",
        f"residency.{test}.{side} names an overlay that overlays[] does not define",
        field_path=f".residency.{test}.{side}",
    )


class ComputePoolSpec(Model):
    """The rules of a pool."""

    model_config = ConfigDict(
        json_schema_extra=checked(
            rule(
                "self.institutions.all(i, !has(i.cohort) || self.cohorts.exists(c, c.name == i.cohort))",
                "institutions[].cohort must be one of cohorts[].name",
                field_path=".institutions",
            ),
            rule(
                "self.cohorts.all(c, !has(c.parent) || self.cohorts.exists(p, p.name == c.parent))",
                "cohorts[].parent must be one of cohorts[].name",
                field_path=".cohorts",
            ),
            *(
                _overlays_exist(test, side)
                for test in ("location", "legalControl")
                for side in ("allow", "deny")
            ),
            nested_overlays_exist("pool"),
        )
    )

    nodes: NodeSelector = Field(default=NodeSelector(), description="Which nodes belong.")
    institutions: tuple[InstitutionShare, ...] = Field(
        default=(),
        max_length=256,
        description="Who may submit, and their shares; empty: everyone, no quota.",
    )
    cohorts: tuple[Cohort, ...] = Field(default=(), max_length=64, description="Tree of cohorts.")
    usage_half_life_hours: int | None = Field(
        default=None,
        ge=1,
        le=8760,
        description="Past use fades by half in this time; absent: only present use counts.",
    )
    residency: Residency = Field(description="Ceiling: no job of the pool may run outside it.")
    overlays: tuple[Overlay, ...] = Field(
        default=(), max_length=16, description="Named lists of places for residency rules."
    )
    caps: tuple[ConcentrationCap, ...] = Field(
        default=(), max_length=3, description="Caps on concentration."
    )
    preemption: Preemption = Field(default=Preemption(), description="Preemption.")
    disconnection: Disruption = Field(default=Disruption(), description="Bounds on disconnection.")
    assurance: Assurance = Field(default="L0", description="Least assurance level of its nodes.")
    verification: Verification = Field(default=Verification(), description="Audits of its work.")
    gpu_classes: tuple[GpuClass, ...] = Field(
        default=(), max_length=64, description="GPU classes lent through the pool; empty: all."
    )


class PoolShare(Model):
    """What one institution holds now."""

    institution: Name = Field(description="Institution.")
    used_gpus: int = Field(ge=0, description="GPUs held.")
    queued: int = Field(ge=0, description="Jobs waiting.")


class ComputePoolStatus(Model):
    """What the hub knows about the pool."""

    observed_generation: int = Field(default=0, ge=0, description="Spec generation acted upon.")
    nodes: int = Field(default=0, ge=0, description="Nodes that belong and are ready.")
    gpus_total: int = Field(default=0, ge=0, description="GPUs of those nodes.")
    gpus_allocated: int = Field(default=0, ge=0, description="GPUs held by jobs.")
    queued: int = Field(default=0, ge=0, description="Jobs waiting.")
    shares: tuple[PoolShare, ...] = Field(
        default=(), max_length=256, description="Per institution."
    )
    conditions: tuple[Condition, ...] = Field(
        default=(), max_length=16, description="Ready, Sound."
    )


class ComputePool(Model):
    """Nodes shared under common rules."""

    spec: ComputePoolSpec = Field(description="The rules.")
    status: ComputePoolStatus = Field(default=ComputePoolStatus(), description="What is observed.")
