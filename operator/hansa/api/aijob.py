"""``AIJob``: what a data owner asks for. Typed fields only; there is no podSpec to abuse."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints, field_validator

from hansa.api.meta import (
    ATOMIC,
    BASE64,
    DIGEST_IMAGE,
    ENV_NAME,
    RELEASE_NUMBER,
    Assurance,
    Condition,
    Currency,
    Decimal,
    Digest,
    GpuClass,
    Message,
    Model,
    Name,
    Quantity,
    Reason,
    Timestamp,
    checked,
    keyed,
    rule,
)
from hansa.api.residency import Residency

Base64 = Annotated[str, StringConstraints(pattern=BASE64, max_length=256)]
Argument = Annotated[str, StringConstraints(max_length=4096)]
EnvName = Annotated[str, StringConstraints(pattern=ENV_NAME, max_length=128)]
RESERVED_ENV_PREFIXES = ("RAY_", "KUBERAY_", "NVIDIA_", "CUDA_", "LD_", "HANSA_")
"""The platform's: CVE-2025-23266 rode on LD_PRELOAD."""
RAY_FLOOR = (2, 54)
"""Ray before 2.54 has known remote code execution flaws."""
RESULT_BYTES = 4096
"""Most bytes of UTF-8 that a result may have."""
LOG_TAIL_BYTES = 8192

SERVED_WORKLOADS = frozenset({"Batch", "FineTune"})
UNSERVED = "Inference is not served yet; use Batch or FineTune"
"""What is said of the other kinds of work, which the API reserves."""


class EnvVar(Model):
    """A plain environment variable; secrets go through ``secrets``."""

    model_config = ConfigDict(json_schema_extra=keyed("name"))

    name: EnvName = Field(
        description="Name. Prefixes RAY_, KUBERAY_, NVIDIA_, CUDA_, LD_ and HANSA_ are reserved.",
        json_schema_extra=checked(
            rule(
                "!self.matches('^(RAY|KUBERAY|NVIDIA|CUDA|LD|HANSA)_')",
                "names beginning with RAY_, KUBERAY_, NVIDIA_, CUDA_, LD_ or HANSA_"
                " are set by the platform; choose another name",
            )
        ),
    )
    value: Argument = Field(default="", description="Value.")

    @field_validator("name")
    @classmethod
    def _not_reserved(cls, name: str) -> str:
        # The member reads grants from a hub it does not trust: the CRD's rule is not enough there.
        if name.startswith(RESERVED_ENV_PREFIXES):
            raise ValueError(f"{name} begins with a prefix that the platform reserves")
        return name


class SecretUse(Model):
    """A secret that already exists at the member and that its policy lends to this tenant."""

    model_config = ConfigDict(json_schema_extra=keyed("name"))

    name: Name = Field(description="Name in the member's MemberPolicy; no value passes the hub.")


class DataSource(Model):
    """A data set, by the name its holder published."""

    model_config = ConfigDict(json_schema_extra=keyed("name"))

    name: Name = Field(description="Data set name; mounted read-only at /data/NAME.")


class Resources(Model):
    """CPU and memory of one pod."""

    cpu: Quantity = Field(default="1", description="CPU of the pod.")
    memory: Quantity = Field(default="2Gi", description="Memory of the pod.")


class Workers(Resources):
    """The Ray worker group: a gang of identical pods, placed all or none."""

    model_config = ConfigDict(
        json_schema_extra=checked(
            rule(
                "!has(self.minCount) || !has(self.count) || self.minCount <= self.count",
                "minCount must not exceed count",
                field_path=".minCount",
            ),
            rule(
                "!(has(self.gpuClass) && has(self.gpuMemory))",
                "give gpuClass, or gpuMemory when any class with that much memory will do, not both",
                field_path=".gpuMemory",
            ),
            rule(
                "(has(self.gpus) && self.gpus > 0) || !(has(self.gpuClass) || has(self.gpuMemory))",
                "gpus must be at least 1 where gpuClass or gpuMemory is given",
                field_path=".gpus",
            ),
        )
    )

    count: int = Field(default=1, ge=1, le=1024, description="Workers to run.")
    min_count: int | None = Field(
        default=None, ge=1, le=1024, description="Elastic jobs: fewest workers that are useful."
    )
    gpus: int = Field(default=0, ge=0, le=16, description="GPUs of each worker.")
    gpu_class: GpuClass | None = Field(default=None, description="GPU class wanted.")
    gpu_memory: Quantity | None = Field(
        default=None, description="Least memory of one GPU, when any class will do."
    )


class RayShape(Model):
    """The Ray cluster of the job: one head without GPUs and one group of workers."""

    version: Annotated[str, StringConstraints(pattern=RELEASE_NUMBER, max_length=20)] = Field(
        description="Ray version in the image; 2.54.0 is the security floor.",
        json_schema_extra=checked(
            rule(
                "!self.matches('^[0-9]+[.][0-9]+[.]') || int(self.split('.')[0]) > 2 ||"
                " (int(self.split('.')[0]) == 2 && int(self.split('.')[1]) >= 54)",
                "Ray before 2.54.0 has known remote code execution flaws; use 2.54.0 or newer",
            )
        ),
    )
    head: Resources = Field(default=Resources(), description="The head pod; never has GPUs.")
    workers: Workers = Field(default=Workers(), description="The worker group.")

    @field_validator("version")
    @classmethod
    def _above_the_floor(cls, version: str) -> str:
        if tuple(int(part) for part in version.split(".")[:2]) < RAY_FLOOR:
            raise ValueError("Ray before 2.54.0 has known remote code execution flaws")
        return version


class Budget(Model):
    """The most the job may cost."""

    limit: Decimal = Field(description="Amount.")
    currency: Currency = Field(description="ISO 4217 currency code.")


class Disconnection(Model):
    """What happens to a running job while its member cannot reach the hub."""

    policy: Literal["Continue", "Stop"] = Field(
        default="Continue", description="Continue until maxUnattendedSeconds, or Stop at once."
    )
    max_unattended_seconds: int = Field(
        default=3600,
        ge=60,
        le=2_592_000,
        description="After this long without the hub the member stops the job itself; only then"
        " may it run elsewhere.",
    )


class Result(Model):
    """A small declared result that may travel back, if the member's policy exports results."""

    max_bytes: int = Field(
        default=RESULT_BYTES,
        ge=1,
        le=RESULT_BYTES,
        description="Largest result, in bytes of UTF-8; a larger one stays at the member.",
    )


class Authorization(Model):
    """A data owner's signature over the work; ``kubectl hansa sign`` makes it."""

    model_config = ConfigDict(json_schema_extra=keyed("keyId"))

    key_id: Digest = Field(description="SHA-256 of the owner's raw public key.")
    signature: Base64 = Field(
        description="Ed25519 signature over the work, the institution it is for, and these terms."
    )
    not_after: Timestamp = Field(description="No run starts later.")
    max_runs: int = Field(
        default=1, ge=1, le=1_000_000, description="Runs that may start at one member."
    )
    purpose: Annotated[str, StringConstraints(max_length=256)] = Field(
        default="", description="What the data is used for, in words."
    )
    permit: Annotated[str, StringConstraints(max_length=128)] = Field(
        default="", description="Number of the permit or decision it rests on."
    )


class AIJobSpec(Model):
    """What to run, on which shape, where it may lawfully run."""

    model_config = ConfigDict(
        json_schema_extra=checked(
            rule(
                "size(self.entrypoint) == 0 || size(self.entrypoint[0]) > 0",
                "entrypoint[0] must be the program to run, for example python",
                field_path=".entrypoint",
            ),
        )
    )

    pool: Name = Field(description="ComputePool to run in.")
    workload: Literal["Batch", "FineTune", "Inference"] = Field(
        default="Batch",
        description="Kind of work; Inference is reserved and refused until it is served.",
        json_schema_extra=checked(rule("self != 'Inference'", UNSERVED)),
    )
    image: Annotated[str, StringConstraints(pattern=DIGEST_IMAGE, max_length=512)] = Field(
        description="Container image by digest (name@sha256:…); tags can be moved, digests cannot."
    )
    entrypoint: tuple[Argument, ...] = Field(
        min_length=1,
        max_length=64,
        description="Command of the Ray driver, as an argument list.",
        json_schema_extra=ATOMIC,
    )
    env: tuple[EnvVar, ...] = Field(
        default=(), max_length=64, description="Environment of the driver and the workers."
    )
    secrets: tuple[SecretUse, ...] = Field(
        default=(), max_length=16, description="Secrets held by the member."
    )
    ray: RayShape = Field(description="Shape of the Ray cluster.")
    data: tuple[DataSource, ...] = Field(
        default=(), max_length=16, description="Data sources the job reads."
    )
    residency: Residency = Field(
        default=Residency(), description="Where the job may run, beyond what its data demands."
    )
    priority: int = Field(default=0, ge=0, le=1000, description="Higher runs first.")
    max_runtime_seconds: int = Field(
        default=86_400, ge=1, le=2_592_000, description="The member stops the job after this long."
    )
    checkpoint_seconds: int = Field(
        default=0,
        ge=0,
        le=2_592_000,
        description="How often the job saves what it can go on from; 0: a stop loses all it did.",
    )
    budget: Budget | None = Field(default=None, description="The most the job may cost.")
    disconnection: Disconnection = Field(
        default=Disconnection(), description="Contract for the time without the hub."
    )
    assurance: Assurance = Field(default="L0", description="Least assurance level of the node.")
    result: Result | None = Field(
        default=None, description="Declares that the job writes a result."
    )
    authorizations: tuple[Authorization, ...] = Field(
        default=(),
        max_length=8,
        description="Data owners' signatures; a member runs nothing on their data without.",
    )
    suspend: bool = Field(
        default=False, description="True holds the job back and stops it if running."
    )


class NodeVerdict(Model):
    """Why one node was not chosen."""

    node: Name = Field(description="SovereignNode.")
    reason: Reason = Field(description="First rule that refused it.")
    message: Message = Field(default="", description="What the rule saw.")


class Refusal(Model):
    """A member said no, or could not run it; it is asked again once its policy changes, or later."""

    node: Name = Field(description="SovereignNode.")
    epoch: int = Field(ge=0, description="Epoch of the refused grant.")
    reason: Reason = Field(description="The member's reason.")
    message: Message = Field(default="", description="The member's words to the data owner.")
    policy_generation: int = Field(default=0, ge=0, description="Policy generation that refused.")
    spec_digest: Digest = Field(description="The spec that was refused.")
    refused_at: Timestamp | None = Field(
        default=None, description="When; a passing obstacle is tried again after a while."
    )
    times: int = Field(
        default=1,
        ge=1,
        le=1_000_000,
        description="How often in a row; each time the node is asked again after twice as long.",
    )


class Preempted(Model):
    """The job was stopped for other work of its pool."""

    node: Name = Field(description="SovereignNode it was stopped at.")
    epoch: int = Field(ge=1, description="Epoch that was stopped.")
    in_favour_of: Name = Field(description="Institution whose job gained.")
    at: Timestamp = Field(description="When the hub asked the node to stop it.")


class StartEstimate(Model):
    """When the job is expected to start."""

    p50: Timestamp = Field(description="Even odds to have started by then.")
    p90: Timestamp = Field(description="Nine in ten odds to have started by then.")


class Usage(Model):
    """What the job has used."""

    gpu_seconds: int = Field(default=0, ge=0, description="GPUs held times seconds.")
    wall_seconds: int = Field(default=0, ge=0, description="Seconds from first worker to end.")


class Cost(Model):
    """What the usage costs."""

    amount: Decimal = Field(description="Amount.")
    currency: Currency = Field(description="ISO 4217 currency code.")


class PastUsage(Usage):
    """What epochs that are over used and cost."""

    cost: Cost = Field(description="What that cost.")


class AIJobStatus(Model):
    """What the hub knows about the job."""

    observed_generation: int = Field(default=0, ge=0, description="Spec generation acted upon.")
    spec_digest: Digest | None = Field(default=None, description="Digest of the spec acted upon.")
    node: str | None = Field(
        default=None, max_length=63, description="SovereignNode that holds the grant."
    )
    epoch: int = Field(default=0, ge=0, description="Fencing counter: one grant per epoch.")
    workers: int | None = Field(
        default=None, ge=1, le=1024, description="Workers granted; elastic jobs may get fewer."
    )
    queue_position: int | None = Field(default=None, ge=0, description="Jobs ahead in the pool.")
    start_estimate: StartEstimate | None = Field(default=None, description="Expected start.")
    verdicts: tuple[NodeVerdict, ...] = Field(
        default=(), max_length=32, description="Why nodes were not chosen, gravest first."
    )
    refusals: tuple[Refusal, ...] = Field(
        default=(),
        max_length=256,
        description="Members that turned it down, latest last; the words of the latest 32.",
    )
    preemptions: tuple[Preempted, ...] = Field(
        default=(), max_length=16, description="Times it was stopped for other work, latest last."
    )
    granted_at: Timestamp | None = Field(default=None, description="When the grant was written.")
    running_at: Timestamp | None = Field(default=None, description="First Ray worker running.")
    finished_at: Timestamp | None = Field(default=None, description="When the job ended.")
    result: str | None = Field(
        default=None,
        max_length=RESULT_BYTES,
        description="The declared result, as the job wrote it.",
    )
    log_tail: str | None = Field(
        default=None,
        max_length=LOG_TAIL_BYTES,
        description="Last lines of the driver, where exported.",
    )
    waiting_since: Timestamp | None = Field(
        default=None,
        description="Since when it stands in the queue; absent: since it was made, or not at all.",
    )
    waited_seconds: int | None = Field(
        default=None, ge=0, description="Time in the queue before that; it counts for rank."
    )
    usage: Usage | None = Field(default=None, description="Use so far, of all epochs.")
    cost: Cost | None = Field(
        default=None, description="Cost so far, of all epochs; spec.budget bounds it."
    )
    earlier: PastUsage | None = Field(
        default=None, description="The part of it that belongs to epochs that are over."
    )
    conditions: tuple[Condition, ...] = Field(
        default=(),
        max_length=16,
        description="Accepted, Placed, Running, Succeeded, Failed, and while true Preempted and the"
        " kstatus pair Reconciling/Stalled.",
    )


class AIJob(Model):
    """A Ray job that runs where its data may lawfully be processed."""

    spec: AIJobSpec = Field(description="What is asked.")
    status: AIJobStatus = Field(default=AIJobStatus(), description="What is observed.")
