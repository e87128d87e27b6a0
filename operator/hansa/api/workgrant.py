"""``WorkGrant``: the hub's signed proposal that one node runs one job for one epoch.

``jobSpec`` is opaque to the API server: what is signed must not be pruned or defaulted, and checking
it there would guard nothing, since the member reads it with the same models and trusts nobody's.

A grant is advice until the member has verified it. Everything the member acts on is inside the
signed body, so nothing outside ``spec`` can change what runs. The member knows no pools: the hub
writes ``overlays`` always (possibly empty), copied from the pool, so that the member can judge
``overlay/NAME`` itself; an overlay that is not listed counts as denied.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from hansa.api.aijob import AIJobSpec, Base64, Moment
from hansa.api.job.log_window import KeptLog, LogWindow
from hansa.api.job.post_mortem import MOST_PODS, PodEnd
from hansa.api.job.ray_shape import MOST_IN_GANG
from hansa.api.job.status import LOG_TAIL_BYTES, RESULT_BYTES
from hansa.api.memberpolicy import PublicKey
from hansa.api.meta import (
    GROUP,
    OPAQUE,
    TEXT,
    UID,
    Condition,
    Digest,
    Message,
    Model,
    Name,
    Timestamp,
    checked,
    keyed,
    rule,
)
from hansa.api.residency import Overlay

GIVEN_UP_ANNOTATION = f"{GROUP}/given-up"
"""On a grant that is to be stopped: its node had been silent by then for longer than its job allows."""
GRANT_FORMAT = 1
"""Of the grants that this hub writes and this agent reads: one more with every field that an agent without it refuses.

Hubs write no grants to agents of a lower one. A test goes by the schema: what changes it has to say which it is.
"""


class Signature(Model):
    """An Ed25519 signature over the DSSE pre-authentication encoding of the canonical grant."""

    model_config = ConfigDict(json_schema_extra=keyed("keyId"))

    key_id: Digest = Field(description="SHA-256 of the signer's raw public key.")
    signature: Base64 = Field(description="Signature, base64.")


class JobReference(Model):
    """The job the grant is for."""

    namespace: Name = Field(description="Namespace on the hub.")
    name: Annotated[str, StringConstraints(pattern=TEXT, max_length=253)] = Field(
        description="Name on the hub."
    )
    uid: Annotated[str, StringConstraints(pattern=UID, max_length=36)] = Field(
        description="UID on the hub."
    )


class WorkGrantSpec(Model):
    """What the member may run, until when, and who says so."""

    model_config = ConfigDict(
        json_schema_extra=checked(
            rule(
                "self.notBefore < self.notAfter",
                "notAfter must be later than notBefore",
                field_path=".notAfter",
            ),
        )
    )

    issuer: Digest = Field(description="SHA-256 of the raw public key of the hub that says so.")
    audience: Digest = Field(
        description="SHA-256 of the raw public key of the node it is said to: what one hub grants"
        " means nothing to the agent of another league."
    )
    node: Name = Field(description="Node the grant is for.")
    job: JobReference = Field(description="Job the grant is for.")
    institution: Name = Field(description="Institution the job is charged to.")
    project: Name | None = Field(
        default=None,
        description="Project of the job's namespace that it is charged to, also where the job names none"
        " and the namespace has a default; not given: none.",
    )
    epoch: int = Field(ge=1, le=999_999_999, description="Fencing counter.")
    not_before: Moment = Field(description="Not to be accepted earlier.")
    not_after: Moment = Field(description="Not to be accepted later.")
    spec_digest: Digest = Field(description="SHA-256 of the canonical jobSpec (RFC 8785).")
    job_spec: AIJobSpec = Field(
        description="The job's spec, word for word, as it was signed.", json_schema_extra=OPAQUE
    )
    workers: int = Field(
        ge=1,
        le=MOST_IN_GANG,
        description="Workers to run: the job's count, or fewer, down to its minCount; with those of further"
        " groups that have GPUs, and with a head that has.",
    )
    overlays: tuple[Overlay, ...] = Field(
        default=(), max_length=16, description="The pool's overlays, for the job's residency rules."
    )
    signatures: tuple[Signature, ...] = Field(
        min_length=1, max_length=4, description="The hub's signatures over everything else in spec."
    )
    cancel: Literal["None", "Stop"] = Field(
        default="None",
        description="Stop asks the member to end the run and release the epoch; not signed, since"
        " stopping is always allowed.",
        json_schema_extra=checked(
            rule(
                "oldSelf == 'None' || self == 'Stop'",
                "a stop cannot be taken back; the next epoch gets a grant of its own",
            )
        ),
    )

    @model_validator(mode="after")
    def _workers_as_asked(self) -> WorkGrantSpec:
        # The member reads grants from a hub it does not trust: the range is the job owner's.
        least, most = self.job_spec.ray.gang
        if not least <= self.workers <= most:
            wanted = f"{least} to {most}" if least < most else f"{most}"
            raise ValueError(f"{self.workers} workers are granted, the job asks for {wanted}")
        return self


class Release(Model):
    """The member's signed word that nothing of this epoch runs any more."""

    epoch: int = Field(ge=1, description="Epoch released.")
    released_at: Timestamp = Field(description="When.")
    key_id: Digest = Field(description="SHA-256 of the node's raw public key.")
    public_key: PublicKey | None = Field(
        default=None,
        description="That key, base64: it counts where the grant was addressed to it, also when the"
        " node is gone or has another key by now.",
    )
    signature: Base64 = Field(description="Signature over node, job uid and epoch, base64.")


class Export(Model):
    """Something of the run that waits at the member until an owner of the data releases it."""

    model_config = ConfigDict(json_schema_extra=keyed("name"))

    name: Name = Field(description="What it is; results so far.")
    digest: Digest = Field(
        description="SHA-256 of the canonical JSON (RFC 8785) of nonce and result."
    )
    bytes: int = Field(ge=0, le=RESULT_BYTES, description="Its size.")
    state: Literal["Waiting", "Released", "Refused"] = Field(description="What became of it.")
    message: Message = Field(default="", description="Why, for a person.")
    nonce: Digest | None = Field(
        default=None, description="Told with the release, so that the digest can be checked."
    )


class WorkGrantStatus(Model):
    """What the member did."""

    observed_generation: int = Field(default=0, ge=0, description="Spec generation acted upon.")
    policy_generation: int = Field(default=0, ge=0, description="MemberPolicy that judged it.")
    accepted_at: Timestamp | None = Field(default=None, description="When accepted.")
    rendered_at: Timestamp | None = Field(default=None, description="When the RayJob was made.")
    running_at: Timestamp | None = Field(default=None, description="When all workers were up.")
    finished_at: Timestamp | None = Field(default=None, description="When the run ended.")
    workload: str | None = Field(
        default=None, max_length=253, description="NAMESPACE/NAME of the RayJob at the member."
    )
    gpu_seconds: int = Field(default=0, ge=0, description="GPUs held times seconds.")
    receipts: int = Field(default=0, ge=0, description="Watermark: receipts issued for this grant.")
    result: str | None = Field(
        default=None, max_length=RESULT_BYTES, description="Declared result."
    )
    exports: tuple[Export, ...] = Field(
        default=(), max_length=4, description="What waits for its release, or did."
    )
    log_tail: str | None = Field(
        default=None, max_length=LOG_TAIL_BYTES, description="Last driver lines."
    )
    log: LogWindow | None = Field(
        default=None, description="A piece of the driver's log, while its owner follows it."
    )
    kept_log: KeptLog | None = Field(
        default=None, description="What the member keeps of the log, now that the run is over."
    )
    post_mortem: tuple[PodEnd, ...] = Field(
        default=(), max_length=MOST_PODS, description="Pods that died, where logs may leave."
    )
    highest_epoch: int = Field(
        default=0,
        ge=0,
        description="Highest epoch of this job the member has seen, told when it refuses an older one.",
    )
    release: Release | None = Field(default=None, description="Signed release of the epoch.")
    conditions: tuple[Condition, ...] = Field(
        default=(),
        max_length=16,
        description="Accepted (False: refused, with the member's reason), Running, Succeeded, Failed,"
        " Released.",
    )


class WorkGrant(Model):
    """A signed proposal that one node runs one job for one epoch."""

    spec: WorkGrantSpec = Field(description="The proposal.")
    status: WorkGrantStatus = Field(default=WorkGrantStatus(), description="What the member did.")
