"""What a scrape reads from a process: plain values, taken from its caches at that moment.

Whatever an object's series was, it is gone with the object: no gauge is set and forgotten. What
only transitions know (waits, refusals, writes) is counted by ``instruments.Instruments`` instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class GpuCount:
    """GPUs of one class at one institution and jurisdiction."""

    institution: str
    jurisdiction: str
    gpu_class: str
    total: int
    allocated: int
    busy: int | None = None
    """None where the member does not report it."""


@dataclass(frozen=True, slots=True)
class HubReading:
    """The hub at one instant."""

    jobs: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """(pool, reason) → AIJobs."""
    gpus: tuple[GpuCount, ...] = ()
    node_lease_age_s: Mapping[str, float] = field(default_factory=dict)
    watch_event_age_s: Mapping[str, float] = field(default_factory=dict)
    """Plural resource name → seconds."""
    objects: Mapping[tuple[str, str, str, str], int] = field(default_factory=dict)
    """(kind, condition, status, reason) → objects."""
    leader: bool = False
    leases: Mapping[str, bool] = field(default_factory=dict)
    """Lease → whether this replica leads by it."""
    plan_gap: float | None = None
    """None before the first plan."""
    prices_age_s: float | None = None
    """None before the first, and where plans find their own."""
    queue_keys: int = 0
    events: Mapping[str, int] = field(default_factory=dict)
    """``EventRecorder.outcomes``."""
    clock_skew_s: float | None = None
    """None before the API server's first answer."""


class HubView(Protocol):
    """The hub's caches, as a scrape sees them."""

    def reading(self) -> HubReading:
        """Return the present values; called on the event loop, so it must not block."""
        ...


@dataclass(frozen=True, slots=True)
class MemberReading:
    """The member at one instant."""

    jobs: Mapping[str, int] = field(default_factory=dict)
    """State (a condition type of the grant: Accepted, Running, Succeeded, Failed …) → grants."""
    gpus: Mapping[str, int] = field(default_factory=dict)
    """GPU class → lent."""
    gpus_held: Mapping[str, int] = field(default_factory=dict)
    machine_gpus: Mapping[str, int] = field(default_factory=dict)
    """Machine → cards that it should have."""
    offered_gpus: Mapping[str, int] = field(default_factory=dict)
    """Machine → NVIDIA's cards, or slices, that pods can ask for there now."""
    watch_event_age_s: Mapping[str, float] = field(default_factory=dict)
    conditions: Mapping[str, bool] = field(default_factory=dict)
    """Condition of the MemberPolicy → whether it is True."""
    switch: str = "Open"
    hub_contact_age_s: float | None = None
    """None before the first answer."""
    token_remaining_s: float | None = None
    clock_skew_s: float | None = None
    queue_keys: int = 0
    events: Mapping[str, int] = field(default_factory=dict)
    """``EventRecorder.outcomes``."""


class MemberView(Protocol):
    """The member's caches, as a scrape sees them."""

    def reading(self) -> MemberReading:
        """Return the present values; called on the event loop, so it must not block."""
        ...
