"""What a member knows when it judges a grant: the inputs of ``checks.judge`` beside the grant.

All of it comes from the member's own cluster and clocks. Nothing here came from the hub, except its
clock's offset, which can only lead to a refusal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from hansa.api.memberpolicy import MemberPolicySpec
from hansa.api.workgrant import WorkGrantSpec
from hansa.grants.epochs import Seen
from hansa.grants.reasons import Objection


@dataclass(frozen=True, slots=True)
class GpuStock:
    """GPUs of one class: what the policy lends and jobs hold."""

    lent: int
    memory_bytes: int
    held: int = 0
    is_slice: bool = False
    """Whether several may be of one card: a worker gets one at most."""

    @property
    def free(self) -> int:
        """GPUs lent that no job holds."""
        return max(0, self.lent - self.held)


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether the member's cluster can run work safely; empty strings mean all is well."""

    kuberay_missing: str = ""
    kuberay_too_old: str = ""
    resolver_missing: str = ""
    """Speaks against what is shut in only."""
    disk_full: str = ""
    canary_open: str = ""
    ledger_behind: str = ""
    """What was used here waits to be counted: what more is used may be paid by nobody."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits from the agent's settings."""

    clock_skew_s: float = 60.0
    grant_validity_s: float = 90_000.0
    ray_floor: str = "2.54.0"


@dataclass(frozen=True, slots=True)
class Facts:
    """The member at the moment of judging."""

    node: str
    key_id: str
    """SHA-256 of this node's raw public key: whom grants are addressed to."""
    now_s: float
    hub_skew_s: float | None = 0.0
    """Hub's clock minus ours; None: the hub never answered."""
    served: frozenset[str] = frozenset()
    """Kinds of work (AIJob ``spec.workload``) that the agent can run."""
    seen: Seen = field(default_factory=Seen)
    live_epochs: tuple[int, ...] = ()
    """Epochs of the same job that may still run here, in whatever state."""
    uses: Callable[[str], int] = lambda _: 0
    """Runs here that used a data owner's signature, by its identity; this grant's own left out."""
    stock: Mapping[str, GpuStock] = field(default_factory=dict)
    unusable_data: Mapping[str, str] = field(default_factory=dict)
    """Data set → why its volume cannot be mounted, for those that cannot."""
    running_jobs: int = 0
    readiness: Readiness = Readiness()
    bounds: Bounds = Bounds()


@dataclass(frozen=True, slots=True)
class Proposal:
    """A grant that was read, but not yet believed."""

    spec: WorkGrantSpec
    message: bytes
    """The bytes its signatures cover."""
    digest: str
    """First 16 hex digits of the digest of ``message``."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """The outcome: accepted when there is no objection."""

    proposal: Proposal | None
    objections: tuple[Objection, ...]
    gpu_class: str = ""
    """GPU class chosen for the job; empty when it wants none."""

    @property
    def accepted(self) -> bool:
        """Whether nothing speaks against the grant."""
        return not self.objections


@dataclass(frozen=True, slots=True)
class Case:
    """One grant before one policy: what every rule looks at."""

    proposal: Proposal
    policy: MemberPolicySpec
    facts: Facts

    @property
    def spec(self) -> WorkGrantSpec:
        """The grant's body."""
        return self.proposal.spec
