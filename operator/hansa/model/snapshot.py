"""The planner's input: the league at one instant, as the hub's caches saw it.

A ``Snapshot`` is a value. Planning it twice gives the same plan; changing a copy answers "what if".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from hansa.model.history import Group, RunTimes
from hansa.model.reasons import Reason

WORLD = frozenset({"World"})


@dataclass(frozen=True, slots=True)
class PlaceSet:
    """Places allowed and denied; deny wins. Names as in ``api.meta.Place``."""

    allow: frozenset[str] = WORLD
    deny: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ResidencyRule:
    """The two tests of residency, by location and by legal control."""

    location: PlaceSet = PlaceSet()
    legal_control: PlaceSet = PlaceSet()


@dataclass(frozen=True, slots=True)
class Machines:
    """``count`` equal machines. ``gpu_class`` is empty and ``gpus`` 0 for machines without GPUs."""

    count: int
    gpus: int
    gpu_class: str
    gpu_memory_bytes: int
    cpu_millis: int
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class Site:
    """One member's cluster (a SovereignNode)."""

    name: str
    institution: str
    operator: str
    jurisdiction: str
    legal_control: frozenset[str]
    machines: tuple[Machines, ...] = ()
    lent_gpus: Mapping[str, int] = field(default_factory=dict)
    """Per GPU class, the most GPUs the member lends; a class not named is lent whole."""
    gpu_hour_price: Mapping[str, int] = field(default_factory=dict)
    """Millionths of the league's currency per GPU-hour, by class."""
    cpu_hour_price: int = 0
    """Millionths of the league's currency per CPU-hour."""
    datasets: Mapping[str, str] = field(default_factory=dict)
    """Data set name → jurisdiction."""
    dataset_rules: Mapping[str, ResidencyRule] = field(default_factory=dict)
    """Data set → where this site lets it be processed. It binds this site's copy and no other."""
    disbelieved: Mapping[str, str] = field(default_factory=dict)
    """Data set that it announces and the league does not believe it holds → why."""
    assurance: int = 0
    unavailable: Reason | None = None
    """Why it takes no new work (not accepted, disputed, cordoned, paused, unreachable, not ready)."""
    unavailable_message: str = ""
    draining: bool = False
    policy_generation: int = 0


class OfGpus(Protocol):
    """Anything that has GPUs of one class: ``Machines``, or the planner's cells."""

    @property
    def gpu_class(self) -> str:
        """Name of the class."""
        ...

    @property
    def gpu_memory_bytes(self) -> int:
        """Of one GPU."""
        ...


@dataclass(frozen=True, slots=True)
class Shape:
    """A gang: ``workers`` equal pods with ``gpus`` each, and ``heads`` equal pods without GPUs."""

    workers: int
    gpus: int = 0
    gpu_class: str = ""
    """Empty: any class with at least ``gpu_memory_bytes``."""
    gpu_memory_bytes: int = 0
    cpu_millis: int = 1000
    memory_bytes: int = 2 << 30
    heads: int = 1
    """The head, and what workers have no GPUs beside others that do; 0: the head is one of ``workers``."""
    head_cpu_millis: int = 1000
    """Of each of ``heads``."""
    head_memory_bytes: int = 2 << 30
    min_workers: int = 0
    """Elastic jobs: fewest useful workers; 0 means the gang is rigid."""

    @property
    def wish(self) -> tuple[str, int]:
        """All that ``accepts`` goes by."""
        return self.gpu_class, self.gpu_memory_bytes

    def accepts(self, place: OfGpus) -> bool:
        """Whether the GPUs there are of the class and size asked for: the one reading of that wish."""
        return (
            self.gpu_class in ("", place.gpu_class)
            and place.gpu_memory_bytes >= self.gpu_memory_bytes
        )

    @property
    def total_gpus(self) -> int:
        """GPUs of the whole gang."""
        return self.workers * self.gpus

    @property
    def heads_cpu_millis(self) -> int:
        """CPU of all ``heads``."""
        return self.heads * self.head_cpu_millis

    @property
    def heads_memory_bytes(self) -> int:
        """Memory of all ``heads``."""
        return self.heads * self.head_memory_bytes


@dataclass(frozen=True, slots=True)
class Holding:
    """Where a job holds resources now."""

    site: str
    epoch: int
    workers: int
    since_s: int
    confirmed: bool = True
    """False while the member has not accepted yet."""
    stopping: bool = False
    """A stop was asked for; resources are still held until the release."""
    stopping_to: int = 0
    """Workers that will be left when the stop is done; 0: none."""
    gpu_class: str = ""
    """GPU class it got, as in the placement; empty: not known, the first that fits is assumed."""


@dataclass(frozen=True, slots=True)
class Yielded:
    """What a job gave up for another, or is about to: the room is that one's, for a while."""

    to: str
    """UID of the job that gains."""
    site: str
    since_s: int
    """When it was asked to."""
    gpu_class: str = ""
    """Of what it gave up; empty: not known, or no GPUs."""


@dataclass(frozen=True, slots=True)
class Job:
    """One AIJob that wants to run or runs."""

    uid: str
    name: str
    """``namespace/name``, for people."""
    institution: str
    pool: str
    shape: Shape
    submitted_s: int
    priority: int = 0
    residency: ResidencyRule = ResidencyRule()
    data: tuple[str, ...] = ()
    assurance: int = 0
    max_runtime_s: int = 86_400
    checkpoint_s: int = 0
    """How often it saves what it can go on from; 0: a stop loses all that it did."""
    budget_micros: int | None = None
    preemptible: bool = True
    refused_by: Mapping[str, str] = field(default_factory=dict)
    """Site → message, for refusals of this very spec under the site's present policy generation."""
    only_site: str = ""
    """Site that an audit was drawn for: what is true of it is told however many others there are."""
    holdings: tuple[Holding, ...] = ()
    yielded: Yielded | None = None
    """The last time that it was stopped or shrunk for another; it outlives the holding."""
    barred: Reason | None = None
    """Why it must not be placed at all now (Misconfigured, Suspended, WaitingForRelease …)."""
    barred_message: str = ""
    is_orphan: bool = False
    """Whether its AIJob is gone, and with it the record of what it has yielded."""

    def unsaved_s(self, ran_s: int) -> int:
        """Seconds of work that a stop would lose after so many."""
        return ran_s % self.checkpoint_s if self.checkpoint_s > 0 else ran_s


@dataclass(frozen=True, slots=True)
class Share:
    """An institution's share of a pool, in GPUs."""

    institution: str
    cohort: str = ""
    nominal_gpus: int = 0
    borrowing_limit: int | None = None
    lending_limit: int | None = None
    weight: int = 1
    past_usage_gpu_s: int = 0
    """Decayed use, when the pool counts the past."""


@dataclass(frozen=True, slots=True)
class Cap:
    """Most of the pool's GPU capacity that may be held at one value of a dimension."""

    dimension: str
    """``Operator``, ``Vendor`` or ``Jurisdiction``."""
    max_percent: int


@dataclass(frozen=True, slots=True)
class PreemptionRule:
    """When running work may be stopped for other work."""

    lower_priority: bool = False
    borrowers: bool = False
    min_runtime_s: int = 600
    max_per_hour: int = 10
    patience_s: int = 0
    """A job waits so long for room to come free by itself before others are stopped for it."""


@dataclass(frozen=True, slots=True)
class Pool:
    """A ComputePool."""

    name: str
    site_names: frozenset[str] | None = None
    """None: every site."""
    site_jurisdictions: frozenset[str] | None = None
    shares: tuple[Share, ...] = ()
    """Empty: everyone may submit, without quota."""
    cohort_parents: Mapping[str, str] = field(default_factory=dict)
    """Cohort → enclosing cohort; "" is the pool itself."""
    ceiling: ResidencyRule = ResidencyRule()
    overlays: Mapping[str, frozenset[str]] = field(default_factory=dict)
    caps: tuple[Cap, ...] = ()
    preemption: PreemptionRule = PreemptionRule()
    assurance: int = 0
    gpu_classes: frozenset[str] = frozenset()
    """Empty: all."""
    recent_preemptions: Mapping[str, int] = field(default_factory=dict)
    """Institution → preemptions it caused in the past hour."""
    usage_half_life_s: int | None = None
    """Past use fades by half in this time; None: only present use counts."""

    def admits(self, gpu_class: str) -> bool:
        """Whether the pool gives out GPUs of a class."""
        return not self.gpu_classes or gpu_class in self.gpu_classes


@dataclass(frozen=True, slots=True)
class ShadowPrices:
    """What scarcity costs, from a linear programme over an earlier snapshot. May be stale.

    Units: thousandths of the value of one plain GPU (see ``placement.value``). What is not named
    costs nothing.
    """

    cells: Mapping[tuple[str, str], float] = field(default_factory=dict)
    """(site, GPU class) → price of one GPU there."""
    caps: Mapping[tuple[str, str, str], float] = field(default_factory=dict)
    """(pool, dimension, value) → price of one GPU under that cap."""
    quotas: Mapping[tuple[str, str], float] = field(default_factory=dict)
    """(pool, institution) → price of one GPU of its quota."""
    nominals: Mapping[tuple[str, str], float] = field(default_factory=dict)
    """(pool, institution) → what one more GPU inside its nominal share is worth."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The league at one instant."""

    now_s: int
    """Seconds since the Unix epoch."""
    sites: tuple[Site, ...]
    pools: tuple[Pool, ...]
    jobs: tuple[Job, ...]
    history: Mapping[Group, RunTimes] = field(default_factory=dict)
    """How long jobs ran, by institution, size and the time they had asked for."""
    prices: ShadowPrices | None = None
    """None: the planner finds its own where the league is small enough."""
