"""``AIJob``: what a data owner asks for. Typed fields only; there is no podSpec to abuse."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints, field_validator

from hansa.api.aijob_status import RESULT_BYTES, AIJobStatus
from hansa.api.meta import (
    ATOMIC,
    BASE64,
    DIGEST_IMAGE,
    ENV_NAME,
    RELEASE_NUMBER,
    Assurance,
    Currency,
    Decimal,
    Digest,
    GpuClass,
    Model,
    Name,
    Quantity,
    Timestamp,
    checked,
    keyed,
    rule,
)
from hansa.api.residency import Residency
from hansa.api.retry import Retry

Base64 = Annotated[str, StringConstraints(pattern=BASE64, max_length=256)]
Argument = Annotated[str, StringConstraints(max_length=4096)]
EnvName = Annotated[str, StringConstraints(pattern=ENV_NAME, max_length=128)]
RESERVED_ENV_PREFIXES = ("RAY_", "KUBERAY_", "NVIDIA_", "CUDA_", "LD_", "HANSA_")
"""The platform's: CVE-2025-23266 rode on LD_PRELOAD."""
RAY_FLOOR = (2, 54)
"""Ray before 2.54 has known remote code execution flaws."""
SERVED_WORKLOADS = frozenset({"Batch", "FineTune"})
MAX_JOB_BYTES = 128 << 10
"""Metadata and spec of a job, as JSON: a hub keeps all jobs in memory, and every grant carries one."""
UNSERVED = "Inference is not served yet; use Batch or FineTune"
"""What is said of the other kinds of work, which the API reserves."""


class EnvVar(Model):
    """A plain environment variable; secrets go through ``secrets``."""

    model_config = ConfigDict(json_schema_extra=keyed("name"))

    name: EnvName = Field(
        description="Name. Prefixes RAY_, KUBERAY_, NVIDIA_, CUDA_, LD_ and HANSA_ are reserved; HOME"
        " and USER replace the platform's /tmp and hansa.",
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
    memory: Quantity = Field(
        default="2Gi",
        description="Memory of the pod: what it is given, and the most it may take.",
        json_schema_extra=checked(
            rule(
                "string(self).matches('[1-9]')",
                "memory must be more than 0: a limit of 0 limits nothing",
            )
        ),
    )

    @field_validator("memory")
    @classmethod
    def _some_memory(cls, memory: str) -> str:
        # The member reads grants from a hub it does not trust: the CRD's rule is not enough there.
        if not memory.strip("0.kmKMGTi"):
            raise ValueError("memory must be more than 0: a limit of 0 limits nothing")
        return memory


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
    residency: Residency = Field(description="Where the job may run, beyond what its data demands.")
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
    retry: Retry = Field(
        default=Retry(), description="Which ends of a run are worth another one, and how many."
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
    ttl_seconds_after_finished: int | None = Field(
        default=None,
        ge=0,
        le=31_536_000,
        description="The hub deletes the job so long after its end, and not before its node has signed"
        " that nothing of it runs any more. Not given: it stays.",
    )
    suspend: bool = Field(
        default=False, description="True holds the job back and stops it if running."
    )


class AIJob(Model):
    """A Ray job that runs where its data may lawfully be processed."""

    spec: AIJobSpec = Field(description="What is asked.")
    status: AIJobStatus = Field(default=AIJobStatus(), description="What is observed.")
