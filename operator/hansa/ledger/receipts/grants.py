"""What the ledger knows by itself of each run: the hub's grant, kept from when it was seen.

A grant is gone when its run is released; receipts may come later. What was granted and released while no
ledger ran is not known here: its receipts are kept as ``NeverGranted``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass

from pydantic import ValidationError

from hansa.api.workgrant import WorkGrantSpec
from hansa.grants.capacity import cpu_millis_wanted, gpus_wanted
from hansa.model.times import from_rfc3339
from hansa.ports import Manifest
from hansa.receipts.chain import Grant
from hansa.receipts.countersign import GrantRecord
from hansa.reconcile.member.usage.work_terms import purpose_of


@dataclass(frozen=True, slots=True)
class Granted:
    """One grant as the ledger keeps it."""

    job: str
    """``namespace/name`` of the job."""
    provider: str
    """Institution that operates the node; a node may have left the league when its receipts are booked."""
    record: GrantRecord

    @property
    def run(self) -> str:
        """Name of the run."""
        return f"{self.record.job_uid}.{self.record.epoch}"

    @property
    def judged(self) -> Grant:
        """What the chain is judged by; prices are compared with the node's tariff."""
        record = self.record
        return Grant(record.granted_s, record.spec_digest, record.node_key)

    def wire(self) -> dict[str, object]:
        """Return it as JSON."""
        return {"job": self.job, "provider": self.provider, "record": asdict(self.record)}


def granted_from(wire: dict[str, object]) -> Granted:
    """Return what ``wire`` made."""
    fields = dict(wire["record"])  # type: ignore[call-overload]  # our own JSON
    for name in ("data_sets", "gpu_classes"):
        fields[name] = tuple(fields[name])
    return Granted(str(wire["job"]), str(wire["provider"]), GrantRecord(**fields))


def read_grants(grants: Iterable[Manifest], nodes: Iterable[Manifest]) -> Iterator[Granted]:
    """Yield what can be read of the hub's WorkGrants; one that cannot is nobody's claim."""
    by_name = {node["metadata"]["name"]: node.get("spec") or {} for node in nodes}
    for thing in grants:
        try:
            spec = WorkGrantSpec.model_validate(thing.get("spec") or {})
        except ValidationError:
            continue
        node = by_name.get(spec.node)
        made_s = from_rfc3339(thing["metadata"].get("creationTimestamp"))
        begin_s = from_rfc3339(spec.not_before)
        if node is not None and made_s is not None and begin_s is not None:
            yield _granted(spec, node, int(min(made_s, begin_s)))


def _granted(spec: WorkGrantSpec, node: Manifest, granted_s: int) -> Granted:
    job, gpus = spec.job_spec, gpus_wanted(spec)
    wanted = job.ray.workers.gpu_class
    classes = tuple(price["gpuClass"] for price in node.get("prices") or ())
    record = GrantRecord(
        node=spec.node,
        node_key=spec.audience,
        institution=spec.institution,
        project=job.project or "",
        job_uid=spec.job.uid,
        epoch=spec.epoch,
        spec_digest=spec.spec_digest,
        image_digest=job.image.rpartition("@")[2],
        data_sets=tuple(sorted({source.name for source in job.data})),
        jurisdiction=str(node.get("jurisdiction", "")),
        gpu_classes=(wanted,) if wanted else classes,
        gpus=gpus,
        cpu_millis=cpu_millis_wanted(spec),
        price=None,
        granted_s=granted_s,
        league=spec.issuer,
        purpose=purpose_of(spec),
    )
    return Granted(
        f"{spec.job.namespace}/{spec.job.name}", str(node.get("institution", "")), record
    )
