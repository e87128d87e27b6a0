"""What the ledger knows by itself of each run: the hub's grant, kept from when it was seen.

A grant is gone when its run is released; receipts may come later. What was granted and released while no
ledger ran is not known here: its receipts are kept as ``NeverGranted``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from operator import attrgetter
from typing import Any

from pydantic import ValidationError

from hansa.api.workgrant import WorkGrantSpec
from hansa.grants.capacity import cpu_millis_wanted, gpus_wanted
from hansa.model.times import from_rfc3339
from hansa.ports import Manifest
from hansa.receipts.chain import Grant
from hansa.receipts.countersign import GrantRecord
from hansa.reconcile.member.contracts.time_limits import LONGEST_START_LIMIT_S, RUNTIME_LEEWAY_S
from hansa.reconcile.member.usage.work_terms import purpose_of

_RECORD = tuple(name for name in GrantRecord.__dataclass_fields__ if name != "ending")
"""How it ended is kept beside it, for it is heard of later: see ``endings``."""
_recorded = attrgetter(*_RECORD)


@dataclass(frozen=True, slots=True)
class OwnerSignature:
    """A data owner's signature that the work was granted on, without the signature itself."""

    key_id: str
    purpose: str
    permit: str
    not_after: str


@dataclass(frozen=True, slots=True)
class Granted:
    """One grant as the ledger keeps it."""

    job: str
    """``namespace/name`` of the job."""
    provider: str
    """Institution that operates the node; a node may have left the league when its receipts are booked."""
    record: GrantRecord
    legal_control: tuple[str, ...] = ()
    """Whose law reached the node's operator then, beside that of the place."""
    signed: tuple[OwnerSignature, ...] = ()

    @property
    def run(self) -> str:
        """Name of the run."""
        return f"{self.record.job_uid}.{self.record.epoch}"

    @property
    def judged(self) -> Grant:
        """What the chain is judged by; prices are compared with the node's tariff."""
        record = self.record
        return Grant(record.granted_s, record.spec_digest, record.node_key)

    def begun_s(self, told_s: int, skew_s: float) -> int:
        """Return when the run began, by its member's first receipt as far as the grant allows that."""
        latest_s = self.record.accepted_by_s
        begun_s = told_s if latest_s is None else min(told_s, int(latest_s + skew_s))
        return max(begun_s, int(self.record.granted_s - skew_s))

    def wire(self) -> dict[str, object]:
        """Return it as JSON."""
        return {
            "job": self.job,
            "provider": self.provider,
            # Not asdict, which copies deeply: a pass keeps thousands.
            "record": dict(zip(_RECORD, _recorded(self.record), strict=True)),
            "legal_control": list(self.legal_control),
            "signed": [asdict(one) for one in self.signed],
        }


def granted_from(wire: Mapping[str, Any]) -> Granted:
    """Return what ``wire`` made."""
    fields = dict(wire["record"])
    for name in ("data_sets", "gpu_classes"):
        fields[name] = tuple(fields[name])
    return Granted(
        str(wire["job"]),
        str(wire["provider"]),
        GrantRecord(**fields),
        tuple(wire.get("legal_control", ())),
        tuple(OwnerSignature(**one) for one in wire.get("signed", ())),
    )


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a grant says by itself; the rest follows from its node."""

    job: str
    record: GrantRecord
    is_of_any_class: bool
    """It asks for no GPU class by name: any that the node prices will do."""
    signed: tuple[OwnerSignature, ...] = ()

    @property
    def run(self) -> str:
        """Name of the run."""
        return f"{self.record.job_uid}.{self.record.epoch}"

    def at(self, node: Manifest) -> Granted:
        """Return it with what the league has agreed with its node."""
        spec = node.get("spec") or {}
        record = replace(self.record, jurisdiction=str(spec.get("jurisdiction", "")))
        if self.is_of_any_class:
            classes = tuple(price["gpuClass"] for price in spec.get("prices") or ())
            record = replace(record, gpu_classes=classes)
        control = tuple(map(str, spec.get("legalControl") or ()))
        provider = str(spec.get("institution", ""))
        return Granted(self.job, provider, record, control, self.signed)


def read_grant(thing: Manifest) -> Claimed | None:
    """Return what a WorkGrant of the hub says; None: it cannot be read, and is nobody's claim."""
    try:
        spec = WorkGrantSpec.model_validate(thing.get("spec") or {})
    except ValidationError:
        return None
    made_s = from_rfc3339(thing["metadata"].get("creationTimestamp"))
    begin_s = from_rfc3339(spec.not_before)
    if made_s is None or begin_s is None:
        return None
    return _claimed(spec, int(min(made_s, begin_s)))


def _claimed(spec: WorkGrantSpec, granted_s: int) -> Claimed:
    job, accepted_s = spec.job_spec, from_rfc3339(spec.not_after)
    # Accepted in the last moment, slow to start, and as long as its job allows.
    longest_s = LONGEST_START_LIMIT_S + job.max_runtime_seconds + RUNTIME_LEEWAY_S
    wanted = job.ray.workers.gpu_class
    record = GrantRecord(
        node=spec.node,
        node_key=spec.audience,
        institution=spec.institution,
        project=spec.project or "",
        job_uid=spec.job.uid,
        epoch=spec.epoch,
        spec_digest=spec.spec_digest,
        image_digest=job.image.rpartition("@")[2],
        data_sets=tuple(sorted({source.name for source in job.data})),
        jurisdiction="",
        gpu_classes=(wanted,) if wanted else (),
        gpus=gpus_wanted(spec),
        cpu_millis=cpu_millis_wanted(spec),
        price=None,
        granted_s=granted_s,
        over_s=None if accepted_s is None else int(accepted_s) + longest_s,
        accepted_by_s=None if accepted_s is None else int(accepted_s),
        league=spec.issuer,
        purpose=purpose_of(spec),
    )
    signed = tuple(
        OwnerSignature(one.key_id, one.purpose, one.permit, one.not_after)
        for one in job.authorizations
    )
    return Claimed(f"{spec.job.namespace}/{spec.job.name}", record, not wanted, signed)
