"""An AIJob as the hub reads it, and whether it may be planned at all."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any
from weakref import WeakValueDictionary

import orjson
from pydantic import ValidationError

from hansa.api import places
from hansa.api.aijob import MAX_JOB_BYTES, SERVED_WORKLOADS, UNSERVED, AIJobSpec
from hansa.api.job.ray_shape import Head, RayShape, Resources, WorkerGroup
from hansa.api.meta import LOG_REQUEST_ANNOTATION
from hansa.api.residency import Residency
from hansa.api.texts import first_fault
from hansa.grants.envelope import digest
from hansa.model.quantities import millis, units
from hansa.model.reasons import Reason
from hansa.model.snapshot import Shape
from hansa.model.times import from_rfc3339
from hansa.reconcile.hub.pools import ParsedPool, PoolTerms, terms_of
from hansa.reconcile.interning import Derived, Interner

FINALIZER = "hansa.dev/grant"
"""Earlier hubs put it on jobs; it is taken off."""
OVERSIZE = "oversizeBytes"
"""Stands in the spec of a job that was too large to be kept; the API server would drop the field."""
KEPT = (
    *("name", "namespace", "uid", "resourceVersion", "generation"),
    *("creationTimestamp", "deletionTimestamp", "finalizers"),
)
"""All that is used of an AIJob's metadata, beside one annotation."""
LONGEST_REQUEST = 100
"""A longer annotation asks for no log."""
Fault = tuple[Reason, str]


@dataclass(frozen=True, eq=False)
class ParsedSpec:
    """An AIJob's spec, read once for all that spell it alike: one object. ``fault``: why it could not be read."""

    wire: Mapping[str, Any]
    spec: AIJobSpec | None
    fault: str = ""

    @cached_property
    def digest(self) -> str:
        """``sha256:…`` of the spec; empty where it could not be read. A job that only waits needs none.

        What could be read has one: no field takes a number that has no canonical spelling.
        """
        return "" if self.spec is None else digest(dict(self.wire))


@dataclass(frozen=True, slots=True)
class JobView:
    """One AIJob at one resourceVersion."""

    uid: str
    namespace: str
    name: str
    resource_version: str
    generation: int
    submitted_s: int
    deleting: bool
    finalized: bool
    """Whether our finalizer is on it."""
    finalizers: tuple[str, ...]
    parsed: ParsedSpec
    status: Mapping[str, Any] = field(default_factory=dict)
    log_request: str = ""
    """Annotation by which its owner asks for the log; empty: nobody does."""

    @property
    def suspended(self) -> bool:
        """Whether its owner holds it back."""
        return self.parsed.wire.get("suspend") is True

    @property
    def epoch(self) -> int:
        """Last epoch recorded."""
        return int(self.status.get("epoch", 0))

    @property
    def node(self) -> str:
        """Node of the epoch recorded; empty while it holds none."""
        return str(self.status.get("node") or "")

    @property
    def workers(self) -> int:
        """Workers granted, or else asked for."""
        spec = self.parsed.spec
        asked = spec.ray.gang[1] if spec else 1
        return int(self.status.get("workers") or asked)

    @property
    def ended(self) -> bool:
        """Whether it succeeded or failed, for good."""
        return any(
            item.get("type") in ("Succeeded", "Failed") and item.get("status") == "True"
            for item in self.status.get("conditions", ())
        )


@dataclass(frozen=True, slots=True)
class Catalog:
    """What a job's request is checked against."""

    pools: Mapping[str, ParsedPool]
    institutions: Mapping[str, str]
    """Hub namespace → institution its jobs are charged to."""
    datasets: frozenset[str]
    currency: str
    projects: Mapping[str, Fault | None] | None = None
    """``namespace/name`` → why nothing new of it may start; None as a whole: not known here."""
    default_projects: Mapping[str, str] = field(default_factory=dict)
    """Hub namespace → project of its jobs that name none."""
    pools_elsewhere: frozenset[str] = frozenset()
    """Pools that other leaders lead."""

    def asks_like(self, other: Catalog) -> bool:
        """Tell whether both judge every request alike: pools may differ in all but their terms."""
        if terms_of(self.pools) != terms_of(other.pools):
            return False
        return replace(self, pools={}) == replace(other, pools={})


def trimmed_job(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return what is used of an AIJob; of one that is too large, what it takes to tell so and to let it go.

    Annotations are not, but the one that asks for the log: what ``kubectl apply`` last applied is the
    whole object once more.
    """
    meta = manifest["metadata"]
    try:
        spelling = orjson.dumps(manifest.get("spec"))
        size = len(orjson.dumps(meta)) + len(spelling)
    except TypeError:
        return manifest  # a number beyond 64 bits: read as such, and told
    used, asked = {name: meta[name] for name in KEPT if name in meta}, log_request_of(meta)
    if 0 < len(asked) <= LONGEST_REQUEST:
        used["annotations"] = {LOG_REQUEST_ANNOTATION: asked}
    if size > MAX_JOB_BYTES:
        return manifest | {"metadata": used, "spec": {OVERSIZE: size}}
    shared: dict[str, Mapping[str, Any]] = {"metadata": used}
    if isinstance(manifest.get("spec"), dict):
        shared["spec"] = _spelled(spelling, manifest["spec"]).wire
    if isinstance(manifest.get("status"), dict):
        shared["status"] = _with_known(manifest["status"], _KEPT_OF_STATUS)
    return manifest | shared


def parse_spec(wire: Mapping[str, Any]) -> ParsedSpec:
    """Read a spec, or return it as it is kept for another job; never raises."""
    try:
        spelling = orjson.dumps(wire)
    except TypeError:
        return _parsed(wire)
    return _spelled(spelling, wire)


def _spelled(spelling: bytes, wire: Mapping[str, Any]) -> ParsedSpec:
    known = _IN_USE.get(spelling)
    if known is None:
        known = _IN_USE[spelling] = _parsed(_with_known(wire, _KEPT_OF_SPEC))
        _LATEST.append(known)
    return known


def _parsed(wire: Mapping[str, Any]) -> ParsedSpec:
    if OVERSIZE in wire:
        text = f"the job has {wire[OVERSIZE]} bytes, at most {MAX_JOB_BYTES} are read"
        remedy = "shorten spec.entrypoint, spec.env or annotations; put long input into the image"
        return ParsedSpec(wire, None, f"{text}; {remedy}")
    try:
        return ParsedSpec(wire, AIJobSpec.model_validate(_with_known(wire, _READ)))
    except ValidationError as error:
        return ParsedSpec(wire, None, first_fault(error))


def _with_known(wire: Mapping[str, Any], parts: Mapping[str, Interner[Any]]) -> dict[str, Any]:
    """Return an object with what many have in common as it is known; unsound parts stay as they are."""
    found = dict(wire)
    for name, known in parts.items():
        with contextlib.suppress(KeyError, TypeError, ValidationError):
            found[name] = known.of(wire[name])
    return found


def _same(wire: Any) -> Any:
    return wire


_READ: Mapping[str, Interner[Any]] = {
    "ray": Interner(RayShape.model_validate),
    "residency": Interner(Residency.model_validate),
}
_KEPT_OF_SPEC: Mapping[str, Interner[Any]] = {"ray": Interner(_same), "residency": Interner(_same)}
_KEPT_OF_STATUS: Mapping[str, Interner[Any]] = {"verdicts": Interner(_same)}
"""Parts that are the largest of a job, and the same in very many."""
_IN_USE: WeakValueDictionary[bytes, ParsedSpec] = WeakValueDictionary()
"""Spelling → spec, as long as any job has it."""
_LATEST: deque[ParsedSpec] = deque(maxlen=64)
"""Those read last: who trims a job asks for its spec again once the job is kept."""


def view_job(manifest: Mapping[str, Any], parsed: ParsedSpec) -> JobView:
    """Read an AIJob whose spec was parsed."""
    meta = manifest["metadata"]
    finalizers = tuple(meta.get("finalizers") or ())
    return JobView(
        uid=meta["uid"],
        namespace=meta["namespace"],
        name=meta["name"],
        resource_version=meta["resourceVersion"],
        generation=meta.get("generation", 0),
        submitted_s=int(from_rfc3339(meta.get("creationTimestamp")) or 0),
        deleting="deletionTimestamp" in meta,
        finalized=FINALIZER in finalizers,
        finalizers=finalizers,
        parsed=parsed,
        status=manifest.get("status") or {},
        log_request=log_request_of(meta),
    )


def log_request_of(meta: Mapping[str, Any]) -> str:
    """Return the annotation that asks for a log; empty: there is none."""
    return str((meta.get("annotations") or {}).get(LOG_REQUEST_ANNOTATION, ""))


def shape_of(spec: AIJobSpec) -> Shape:
    """Return the gang a spec asks for."""
    return _SHAPES.of(spec.ray)


def _shape_of(ray: RayShape) -> Shape:
    """Return a gang of pods of two sizes: those with GPUs, and those without; each as large as its largest.

    Without GPUs the first group's workers are the gang, and all else is placed with the head.
    """
    workers, (least, most) = ray.workers, ray.gang
    rest: tuple[Head | WorkerGroup, ...] = (ray.head, *ray.worker_groups)
    gang: list[Resources] = [
        *([workers] if workers.count else []),
        *(one for one in rest if one.gpus),
    ]
    others = [one for one in rest if not one.gpus]
    return Shape(
        workers=most,
        gpus=workers.gpus,
        gpu_class=workers.gpu_class or "",
        gpu_memory_bytes=units(workers.gpu_memory) if workers.gpu_memory else 0,
        cpu_millis=max(millis(one.cpu) for one in gang),
        memory_bytes=max(units(one.memory) for one in gang),
        heads=ray.worker_pods(most) + 1 - most,
        head_cpu_millis=max((millis(one.cpu) for one in others), default=0),
        head_memory_bytes=max((units(one.memory) for one in others), default=0),
        min_workers=least if workers.min_count else 0,
    )


_SHAPES = Derived(_shape_of)


def fault_of(job: JobView, catalog: Catalog) -> Fault | None:
    """Return the gravest reason why the request itself cannot be met, with what to do about it."""
    spec = job.parsed.spec
    if spec is None:
        return Reason.MISCONFIGURED, f"spec is not valid: {job.parsed.fault}"
    pool = catalog.pools.get(spec.pool)
    faults = [*_faults(spec, pool.terms if pool else None, catalog)]
    if not catalog.institutions.get(job.namespace):
        text = (
            f"namespace {job.namespace} has no label hansa.dev/institution; ask the platform team"
        )
        faults.append((Reason.NO_INSTITUTION, text))
    faults += _project_faults(job, catalog)
    return min(faults, key=lambda fault: fault[0].gravity, default=None)


def project_of(job: JobView, catalog: Catalog) -> str:
    """Return the project that a job is charged to, ``namespace/name``; empty: none."""
    named = job.parsed.spec.project if job.parsed.spec else None
    name = named or catalog.default_projects.get(job.namespace, "")
    return f"{job.namespace}/{name}" if name else ""


def _project_faults(job: JobView, catalog: Catalog) -> Iterator[Fault]:
    name = project_of(job, catalog)
    if not name or catalog.projects is None:
        return
    if name not in catalog.projects:
        text = f"namespace {job.namespace} has no project {name.partition('/')[2]}"
        yield Reason.UNKNOWN_PROJECT, text
    elif fault := catalog.projects[name]:
        yield fault


def _faults(spec: AIJobSpec, pool: PoolTerms | None, catalog: Catalog) -> Iterator[Fault]:
    if pool is None:
        there_are = ", ".join(sorted({*catalog.pools, *catalog.pools_elsewhere})[:8]) or "none"
        yield Reason.UNKNOWN_POOL, f"there is no ComputePool {spec.pool}; there are: {there_are}"
    else:
        yield from _contract_faults(spec, pool)
    if spec.workload not in SERVED_WORKLOADS:
        yield Reason.MISCONFIGURED, f"spec.workload: {UNSERVED}"
    if pool is not None:
        yield from _overlay_faults(spec.residency, pool)
    wanted = {source.name for source in spec.data}
    for name in sorted(wanted - catalog.datasets):
        text = f"no accepted node holds a data set named {name}; check the name with its holder"
        yield Reason.UNKNOWN_DATASET, text
    if spec.budget is not None and spec.budget.currency != catalog.currency:
        text = f"budget.currency must be {catalog.currency}, the league's; it is {spec.budget.currency}"
        yield Reason.MISCONFIGURED, text


def _contract_faults(spec: AIJobSpec, pool: PoolTerms) -> Iterator[Fault]:
    most, asked = pool.max_unattended_s, spec.disconnection.max_unattended_seconds
    if asked > most:
        text = f"disconnection.maxUnattendedSeconds is {asked}, pool {pool.name} allows {most}"
        yield Reason.MISCONFIGURED, text


def _overlay_faults(residency: Residency, pool: PoolTerms) -> Iterator[Fault]:
    """Yield the overlays that the pool does not define; all other places the spec's model knows."""
    named = _OVERLAYS.of(residency)
    if not named:
        return
    known = frozenset(f"{places.OVERLAY_PREFIX}{name}" for name in pool.overlays)
    for place in sorted(named - known):
        text = f"residency: {places.unknown(place, known)} in pool {pool.name}"
        yield Reason.UNKNOWN_JURISDICTION, text


def _overlays_of(residency: Residency) -> frozenset[str]:
    rules = (residency.location, residency.legal_control)
    named = {place for rule in rules for place in (*rule.allow, *rule.deny)}
    return frozenset(place for place in named if place.startswith(places.OVERLAY_PREFIX))


_OVERLAYS = Derived(_overlays_of)
