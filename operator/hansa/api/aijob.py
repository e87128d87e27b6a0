"""``AIJob``: what a data owner asks for. Typed fields only; there is no podSpec to abuse."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints, field_validator, model_validator

from hansa.api.group import TIME
from hansa.api.job.packages import RuntimeEnv
from hansa.api.job.ray_shape import RayShape
from hansa.api.job.retry import Retry
from hansa.api.job.status import RESULT_BYTES, AIJobStatus
from hansa.api.job.verification import MOST_SAID, AuditOrder, CheckpointGrid, ResultComparator
from hansa.api.meta import (
    ATOMIC,
    BASE64,
    DIGEST_IMAGE,
    ENV_NAME,
    FILE_NAME,
    KINDS_OF_WORK,
    TEXT,
    Assurance,
    Currency,
    Decimal,
    Digest,
    KindOfWork,
    Model,
    Name,
    Timestamp,
    checked,
    keyed,
    rule,
)
from hansa.api.residency import Residency

Base64 = Annotated[str, StringConstraints(pattern=BASE64, max_length=256)]
Argument = Annotated[str, StringConstraints(pattern=TEXT, max_length=4096)]
EnvName = Annotated[str, StringConstraints(pattern=ENV_NAME, max_length=128)]
Moment = Annotated[Timestamp, StringConstraints(pattern=TIME)]
"""A time that the member reads in what a hub sends: the CRD's pattern is not enough there."""
RESERVED_ENV_PREFIXES = ("RAY_", "KUBERAY_", "NVIDIA_", "CUDA_", "LD_", "HANSA_")
"""The platform's: CVE-2025-23266 rode on LD_PRELOAD."""
RESERVED_ENV_SUFFIX = "_VISIBLE_DEVICES"
"""What container runtimes of every maker of accelerators read, to hand out devices that nobody asked for."""
RESERVED_ENV = ("GCONV_PATH", "GLIBC_TUNABLES")
"""What a loader reads, beside LD_: a runtime's hooks run with a container's variables."""
HARMLESS_ENV = (
    *("CUDA_DEVICE_MAX_CONNECTIONS", "CUDA_DEVICE_ORDER", "CUDA_LAUNCH_BLOCKING"),
    *("CUDA_MODULE_LOADING", "NVIDIA_TF32_OVERRIDE", "RAY_CHDIR_TO_TRIAL_DIR"),
    *("RAY_DISABLE_DOCKER_CPU_WARNING", "RAY_IGNORE_UNHANDLED_ERRORS", "RAY_PROFILING"),
    *("RAY_OVERRIDE_JOB_RUNTIME_ENV", "RAY_memory_monitor_refresh_ms"),
    *("RAY_memory_usage_threshold", "RAY_task_oom_retries", "RAY_worker_register_timeout_seconds"),
    *("RAY_COLOR_PREFIX", "RAY_DEDUP_LOGS", "RAY_ENABLE_UV_RUN_RUNTIME_ENV", "RAY_LOG_TO_STDERR"),
    *("RAY_BACKEND_LOG_LEVEL", "RAY_RLLIB_LOG_LEVEL", "RAY_TQDM_PATCH_PRINT"),
)
HARMLESS_ENV_PREFIXES = (
    *("RAY_AIR_", "RAY_CGRAPH_", "RAY_DATA_", "RAY_SERVE_", "RAY_TRAIN_", "RAY_TUNE_"),
)
"""What frameworks read and nothing that guards a run: these begin with a reserved prefix and may be set."""
SERVED_WORKLOADS = frozenset(KINDS_OF_WORK) - {"Inference"}
LONGEST_RUNTIME_S = 30 * 86_400
MAX_JOB_BYTES = 128 << 10
"""Metadata and spec of a job, as JSON: a hub keeps all jobs in memory, and every grant carries one."""
STATE_BYTES = 84
"""Most that a state takes in a result, with its step and what is around them."""
UNSERVED = f"Inference is not served yet; use {' or '.join(sorted(SERVED_WORKLOADS))}"
"""What is said of the other kinds of work, which the API reserves."""
_GRID = "self.comparator.checkpoints"


def is_reserved_env(name: str) -> bool:
    """Whether the platform sets this variable itself, and a job may not.

    >>> [is_reserved_env(name) for name in ("RAY_ADDRESS", "AMD_VISIBLE_DEVICES", "RAY_TRAIN_V2_ENABLED", "LR")]
    [True, True, False, False]
    """
    if name in RESERVED_ENV or name.endswith(RESERVED_ENV_SUFFIX):
        return True
    harmless = name in HARMLESS_ENV or name.startswith(HARMLESS_ENV_PREFIXES)
    return name.startswith(RESERVED_ENV_PREFIXES) and not harmless


class EnvVar(Model):
    """A plain environment variable; secrets go through ``secrets``."""

    model_config = ConfigDict(json_schema_extra=keyed("name"))

    name: EnvName = Field(
        description="Name. Prefixes RAY_, KUBERAY_, NVIDIA_, CUDA_, LD_ and HANSA_ are reserved, but for"
        f" {', '.join(HARMLESS_ENV)} and those beginning with {', '.join(HARMLESS_ENV_PREFIXES)}; so are"
        f" {' and '.join(RESERVED_ENV)} and names ending with {RESERVED_ENV_SUFFIX}. HOME"
        " and USER replace the platform's /tmp and hansa.",
        json_schema_extra=checked(
            rule(
                f"!self.endsWith('{RESERVED_ENV_SUFFIX}') && !(self in {[*RESERVED_ENV]}) &&"
                " (!self.matches('^(RAY|KUBERAY|NVIDIA|CUDA|LD|HANSA)_') ||"
                f" self.matches('^({'|'.join(HARMLESS_ENV_PREFIXES)})') ||"
                f" self in [{', '.join(repr(name) for name in HARMLESS_ENV)}])",
                "names beginning with RAY_, KUBERAY_, NVIDIA_, CUDA_, LD_ or HANSA_, or ending with"
                f" {RESERVED_ENV_SUFFIX}, {' and '.join(RESERVED_ENV)}"
                " are set by the platform, but for the few that the reference lists; choose another name",
            )
        ),
    )
    value: Argument = Field(default="", description="Value.")

    @field_validator("name")
    @classmethod
    def _not_reserved(cls, name: str) -> str:
        # The member reads grants from a hub it does not trust: the CRD's rule is not enough there.
        if is_reserved_env(name):
            raise ValueError(f"{name} is a name that the platform reserves")
        return name


class SecretUse(Model):
    """A secret that already exists at the member and that its policy lends to this tenant."""

    model_config = ConfigDict(json_schema_extra=keyed("name"))

    name: Name = Field(description="Name in the member's MemberPolicy; no value passes the hub.")
    mode: Literal["Environment", "Files"] = Field(
        default="Environment",
        description="Its keys as environment variables, or as files in /secrets/NAME.",
    )


class CodeFile(Model):
    """A small text file that travels with the job: a script, a configuration."""

    model_config = ConfigDict(json_schema_extra=keyed("name"))

    name: Annotated[str, StringConstraints(pattern=FILE_NAME, max_length=128)] = Field(
        description="File name; read-only at /code/NAME in the driver and the workers."
    )
    content: Annotated[str, StringConstraints(pattern=TEXT, max_length=65_536)] = Field(
        description="Text. It is part of what data owners sign."
    )


class DataSource(Model):
    """A data set, by the name its holder published."""

    model_config = ConfigDict(json_schema_extra=keyed("name"))

    name: Name = Field(description="Data set name; mounted read-only at /data/NAME.")


class Budget(Model):
    """The most that a job's runs may cost."""

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
    not_after: Moment = Field(description="No run starts later.")
    max_runs: int = Field(
        default=1, ge=1, le=1_000_000, description="Runs that may start at one member."
    )
    purpose: Annotated[str, StringConstraints(pattern=TEXT, max_length=256)] = Field(
        default="", description="What the data is used for, in words."
    )
    permit: Annotated[str, StringConstraints(pattern=TEXT, max_length=128)] = Field(
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
            rule(
                "!has(self.comparator) || !has(self.comparator.checkpoints) || has(self.result)",
                "comparator.checkpoints are told in the result; declare result, for example {maxBytes: 4096}",
                field_path=".comparator",
            ),
            rule(
                "!has(self.comparator) || !has(self.comparator.checkpoints) || !has(self.result) ||"
                f" self.result.maxBytes >= {RESULT_BYTES} || (self.result.maxBytes >= {STATE_BYTES} *"
                f" (({_GRID}.steps + {_GRID}.every - 1) / {_GRID}.every + 1) &&"
                f" (self.result.maxBytes >= {STATE_BYTES * (MOST_SAID + 2)} ||"
                f" self.result.maxBytes >= {STATE_BYTES} * ({_GRID}.every + 1) ||"
                f" self.result.maxBytes >= {STATE_BYTES} * ({_GRID}.steps + 1)))",
                f"result.maxBytes has no room for the states of comparator.checkpoints: {RESULT_BYTES} is always"
                f" enough; needed is {STATE_BYTES} for each state that a run tells, steps/every + 1 of them, and that"
                f" an audit of one segment tells, every + 1 and at most {MOST_SAID + 2}",
                field_path=".result",
            ),
        )
    )

    pool: Name = Field(description="ComputePool to run in.")
    workload: KindOfWork = Field(
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
    files: tuple[CodeFile, ...] = Field(
        default=(), max_length=32, description="Small text files, read-only in /code."
    )
    env: tuple[EnvVar, ...] = Field(
        default=(), max_length=64, description="Environment of the driver and the workers."
    )
    secrets: tuple[SecretUse, ...] = Field(
        default=(), max_length=16, description="Secrets held by the member."
    )
    runtime_env: RuntimeEnv | None = Field(
        default=None,
        description="Packages to install when the job begins, where the member's policy names an index"
        " (packageIndex); other members refuse the job.",
    )
    ray: RayShape = Field(description="Shape of the Ray cluster.")
    data: tuple[DataSource, ...] = Field(
        default=(), max_length=16, description="Data sources the job reads."
    )
    residency: Residency = Field(description="Where the job may run, beyond what its data demands.")
    priority: int = Field(default=0, ge=0, le=1000, description="Higher runs first.")
    max_runtime_seconds: int = Field(
        default=86_400,
        ge=1,
        le=LONGEST_RUNTIME_S,
        description="The member stops the job after this long.",
    )
    checkpoint_seconds: int = Field(
        default=0,
        ge=0,
        le=2_592_000,
        description="How often the job saves what it can go on from; 0: a stop loses all it did.",
    )
    budget: Budget | None = Field(
        default=None,
        description="The most the longest run may cost, with what earlier runs cost. The minutes"
        " that a run takes to begin are billed too, and are not counted beforehand.",
    )
    disconnection: Disconnection = Field(
        default=Disconnection(), description="Contract for the time without the hub."
    )
    retry: Retry = Field(
        default=Retry(), description="Which ends of a run are worth another one, and how many."
    )
    project: Name | None = Field(
        default=None,
        description="Project of the namespace that it is charged to; not given: the one in the"
        " namespace's annotation hansa.dev/default-project, if there is one.",
    )
    assurance: Assurance = Field(default="L0", description="Least assurance level of the node.")
    comparator: ResultComparator | None = Field(
        default=None,
        description="What counts as the same result when the job is run again for an audit. Not given:"
        " its result has to be the same byte by byte, which only runs on GPUs of one class can be held to.",
    )
    audit: AuditOrder | None = Field(
        default=None,
        description="Makes it an audit of another job; the ledger alone makes these.",
    )
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

    @model_validator(mode="after")
    def _has_room_for_its_states(self) -> AIJobSpec:
        grid = self.comparator and self.comparator.checkpoints
        if grid and self.result and self.result.max_bytes < (needed := _bytes_of_states(grid)):
            raise ValueError(
                f"result.maxBytes: {self.result.max_bytes} has no room for the states of"
                f" comparator.checkpoints; give at least {needed}"
            )
        return self


def _bytes_of_states(grid: CheckpointGrid) -> int:
    """Return the room that a run of a job needs for its states, and an audit of one segment for the steps between."""
    of_run = -(-grid.steps // grid.every) + 1
    of_segment = min(grid.every, grid.steps, MOST_SAID + 1) + 1
    return min(STATE_BYTES * max(of_run, of_segment), RESULT_BYTES)


class AIJob(Model):
    """A Ray job that runs where its data may lawfully be processed."""

    spec: AIJobSpec = Field(description="What is asked.")
    status: AIJobStatus = Field(default=AIJobStatus(), description="What is observed.")
