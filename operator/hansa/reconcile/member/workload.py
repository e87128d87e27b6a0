"""What the agent has to know of a way to run work: the seam that RayJob fills and others can.

A run is a namespace, what fences and feeds it, and one object in it that does the work. All the
agent does with that object goes through ``Workload``: it renders the object, reads its status and
says where its output stands. Whatever the object makes lies in the run's namespace and goes with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

from hansa.ports import Manifest
from hansa.reconcile.member.end_reasons import EndReason
from hansa.reconcile.member.run_request import RunRequest


@dataclass(frozen=True, slots=True)
class Resource:
    """The Kubernetes resource of the object that does the work."""

    group: str
    version: str
    kind: str
    plural: str

    @property
    def api_version(self) -> str:
        """Group and version, as manifests state them."""
        return f"{self.group}/{self.version}"

    @property
    def definition(self) -> str:
        """Name of its CustomResourceDefinition."""
        return f"{self.plural}.{self.group}"

    def path(self, namespace: str = "") -> str:
        """Return the API path of the collection, in one namespace or in all."""
        scope = f"/namespaces/{namespace}" if namespace else ""
        return f"/apis/{self.api_version}{scope}/{self.plural}"


@dataclass(frozen=True, slots=True)
class Rendering:
    """What one workload adds to what every run has."""

    spec: Manifest
    """Of the object that does the work; its name and labels are the run's."""
    quota: Mapping[str, str]
    """``hard`` of the namespace's quota: what its own pods fill, and no more."""
    files: Mapping[str, str]
    """What its pods read from the run's ConfigMap."""
    ingress: tuple[Manifest, ...] = ()
    """Who may reach its pods beside themselves, as NetworkPolicy rules."""


@dataclass(frozen=True, slots=True)
class WorkloadView:
    """The object that does the work, reduced to what decides."""

    created_s: float
    started: bool = False
    """Whether all its pods came up and its command began: it is not given up any more for want of that."""
    running: bool = False
    """Whether all workers were up."""
    running_s: float | None = None
    """Since when; None: not yet, or nobody knows."""
    end: EndReason | None = None
    """Why it ended; None while it has not."""
    ended_s: float | None = None
    message: str = ""
    gave_up: bool = False
    """Whether its pods say that they ended because nobody told them that they may live."""
    refused: str = ""
    """The API server's words where its pods could not be made; empty: they could."""
    is_held: bool = False
    """Whether somebody suspends it: a queue of the member's own, which has not let it in."""


@dataclass(frozen=True, slots=True)
class Traces:
    """What is left of a run when it ends, or does not begin, beside the object that does the work."""

    pods: Sequence[Mapping[str, Any]] = ()
    events: Sequence[Mapping[str, Any]] = ()
    """What happened to objects of its namespace."""
    workers: int = 0
    """How many it was to have."""
    ended_s: float = 0.0
    refused: str = ""
    is_held: bool = False
    away: frozenset[str] = frozenset()
    """Machines that are not Ready now, or are no more."""
    has_begun: bool = False
    """Whether all its pods were up once."""


Role: TypeAlias = Literal["Head", "Worker", "Submitter"]
"""Of a pod."""


@dataclass(frozen=True, slots=True, order=True)
class PodEvent:
    """A warning of the member's cluster about a pod."""

    reason: str
    message: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class DeadPod:
    """A pod that ended badly, or never began."""

    pod: str
    role: Role
    reason: str
    exit_code: int | None = None
    restarts: int = 0
    at_s: float | None = None
    container: str = ""
    """Whose log tells of it; empty: none does."""
    previous: bool = False
    """Whether another container has taken its place since."""
    events: tuple[PodEvent, ...] = ()


@dataclass(frozen=True, slots=True)
class Autopsy:
    """What is left of pods that died."""

    dead: tuple[DeadPod, ...] = ()
    machines: frozenset[str] = frozenset()
    """Names of machines that may stand in what is said of them."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Why a run ended, and what was seen; no word of it is the job's own."""

    reason: EndReason
    words: str = ""
    machines: frozenset[str] = frozenset()
    """Machines that it died on, which its job's next run keeps off."""


@dataclass(frozen=True, slots=True)
class Output:
    """What the work left: its last lines, and its declared result if it wrote one."""

    tail: str = ""
    result: bytes | None = None
    """As the work wrote it, whatever it declared."""
    is_cut: bool = False
    """Whether its last lines are too long to be read: then no more than the result is known."""
    is_there: bool = True
    """Whether there is a log, as far as is known."""
    is_read: bool = True
    """Whether the log that is there could be read."""


@dataclass(frozen=True, slots=True)
class OutputSource:
    """The pod whose log holds the output."""

    labels: str
    """Label selector within the run's namespace; the newest pod counts."""
    container: str
    own_lines: int = 0
    """Lines that the container itself adds after the work's last."""
    mark: str = ""
    """How lines begin that carry the result: they are none of the log. Empty: no line does."""


class Workload(Protocol):
    """One way to run work. Pure: it reads and returns values."""

    @property
    def serves(self) -> frozenset[str]:
        """Kinds of work (AIJob ``spec.workload``) that it runs."""
        ...

    @property
    def resource(self) -> Resource:
        """What to watch."""
        ...

    @property
    def output_source(self) -> OutputSource | None:
        """Where the output stands; None: it leaves none."""
        ...

    def render(self, request: RunRequest) -> Rendering:
        """Return what it adds to a run."""
        ...

    def observe(self, thing: Mapping[str, Any]) -> WorkloadView:
        """Return what the object's status says; never raises on what a controller wrote there."""
        ...

    def diagnose(self, end: EndReason, traces: Traces) -> Finding:
        """Return why a run really ended; ``end``: what the object's status says."""
        ...

    def head(self, traces: Traces) -> str:
        """Return the UID of the pod that a run's command is in; empty: there is none now, or it does not matter."""
        ...

    def missing(self, traces: Traces) -> int:
        """Return how many pods of a run that has begun are not up now."""
        ...

    def autopsy(self, traces: Traces) -> Autopsy:
        """Return which of its pods died; never raises on what a cluster wrote there."""
        ...

    def output(self, log: str) -> Output:
        """Return the output that stands in a log."""
        ...
