"""Everything an operator of a member can set, in one place, read from the environment once.

Variables begin with ``HANSA_MEMBER_``; groups are joined by two underscores, for example
``HANSA_MEMBER_LIMITS__CLOCK_SKEW_SECONDS=30``. The chart's values follow this file.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from hansa.adapters.settings import Candidacy, Group, LogLevel, MemberKubeconfig, Serving
from hansa.api.job.log_window import LONGEST_KEPT_S
from hansa.api.texts import Written
from hansa.member.run_settings import OptionalSize, OptionalTaintKey, Row, Runs, refuse_state
from hansa.reconcile.member.contracts.time_limits import (
    LONGEST_START_LIMIT_S,
    START_LIMIT_S,
    STOP_MARGIN_S,
)
from hansa.reconcile.member.inventory.accelerators import Accelerator
from hansa.reconcile.member.inventory.lost_machines import BLIND_S
from hansa.reconcile.member.inventory.machine import MachineRules
from hansa.reconcile.member.logs.kept_log import MOST_KEPT_BYTES


class Identity(Group):
    """Who this member is towards the hub, and where it keeps its keys."""

    secret: str = Field(
        default="hansa-identity",
        description="Secret in the agent's namespace with the hub's address and the node's keys;"
        " `hansa join` writes it and the agent renews the token in it.",
    )
    kubeconfig: MemberKubeconfig = ""
    token_seconds: int = Field(
        default=86_400 * 30,
        ge=600,
        description="Validity asked for in token requests, in seconds; the hub may shorten it.",
    )
    renew_fraction: float = Field(
        default=2 / 3,
        gt=0.1,
        lt=0.95,
        description="Share of the token's lifetime after which it is renewed.",
    )


class Leadership(Candidacy):
    """Which of several replicas works."""


class Limits(Group):
    """Bounds the member sets on what it accepts, beyond its MemberPolicy."""

    clock_skew_seconds: int = Field(
        default=60, ge=1, description="Most the hub's clock may differ from this one, in seconds."
    )
    grant_validity_seconds: int = Field(
        default=90_000,
        ge=60,
        description="Longest validity of a grant; also how long seen epochs are remembered.",
    )
    result_retention_seconds: int = Field(
        default=86_400 * 30,
        ge=60,
        description="How long a result waits for its release before it is deleted, in seconds.",
    )
    receipts_waiting: int = Field(
        default=3150,
        ge=0,
        le=6300,
        description="Receipts that wait for the ledger from which on no new work is accepted: so much may"
        " be unpaid. 0: however many wait, also where the league keeps no books.",
    )
    kuberay_floor: str = Field(
        default="1.5.1", description="Oldest KubeRay accepted: the first with token authentication."
    )
    ray_floor: str = Field(
        default="2.54.0", description="Oldest Ray accepted: older ones can be taken over remotely."
    )


class Rendering(Group):
    """How accepted work becomes Kubernetes objects."""

    concurrency: int = Field(
        default=16, ge=1, le=256, description="Jobs made at the same time; accepting goes first."
    )
    log_tail_lines: int = Field(
        default=60, ge=1, le=1000, description="Lines of the driver's log that are kept."
    )
    kuberay_namespace: str = Field(
        default="", description="Namespace of the KubeRay operator; empty: any namespace."
    )


class Logs(Group):
    """What is kept of logs of runs that are over, where the MemberPolicy lets them leave (`Allow`)."""

    keep_bytes: int = Field(
        default=262_144,
        ge=0,
        le=MOST_KEPT_BYTES,
        description="Most bytes of one log, its end; 0: none is kept. They lie in the Secrets"
        " hansa-logs-*, where the logs that end first make room for more.",
    )
    keep_seconds: int = Field(
        default=86_400,
        ge=60,
        le=LONGEST_KEPT_S,
        description="How long, in seconds; a log goes with its job, too.",
    )


RESERVED = r"^(?!LD_|NVIDIA_|CUDA_|HANSA_|RAY_|GCONV_PATH$|GLIBC_TUNABLES$)(?!.*_VISIBLE_DEVICES$)[A-Za-z_][A-Za-z0-9_]*$"
_RESOURCE = r"^[A-Za-z0-9.-]+/[A-Za-z0-9._-]+$"
NodeLabel = Annotated[
    str,
    Written(
        r"^$|^([A-Za-z0-9.-]+/)?[A-Za-z0-9._-]+$",
        "must be a label of Nodes, for example amd.com/gpu.product-name; or empty",
    ),
]


class AcceleratorRow(Row):
    """One more accelerator that this member lends."""

    resource: Annotated[
        str, Written(_RESOURCE, "must be an extended resource, for example amd.com/gpu")
    ] = Field(description="Extended resource, as in allocatable.")
    gpu_class: Annotated[
        str,
        Written(
            r"^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)?$",
            "must be a GPU class: lower case letters, digits and '-', for example amd-mi300x; or empty",
        ),
    ] = Field(
        default="",
        description="GPU class of every such card, its maker first; empty: by classLabel.",
    )
    class_label: NodeLabel = Field(
        default="", description="Label of a Node with the product's name."
    )
    memory: OptionalSize = Field(
        default="",
        description="Memory of one card; empty: by memoryLabel.",
    )
    memory_label: NodeLabel = Field(
        default="",
        description="Label of a Node with the memory of one card: a quantity, or a number of MiB.",
    )
    taint: OptionalTaintKey = Field(
        default="",
        description="Key of the taint of such machines, which runs then tolerate.",
    )
    environment: dict[str, str] = Field(
        default_factory=dict, description="Variables of the containers that hold such cards."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if bool(self.gpu_class) == bool(self.class_label):
            raise ValueError(f"{self.resource}: give gpuClass or classLabel, one of them")
        if self.memory and self.memory_label:
            raise ValueError(f"{self.resource}: give memory or memoryLabel, not both")
        for name in self.environment:
            if not re.fullmatch(RESERVED, name):
                raise ValueError(f"{self.resource}: environment {name} is reserved, or no name")
        if self.taint:
            refuse_state(self.taint)
        return self


class Machines(Group):
    """Which of the member's machines take runs, and what they offer."""

    architecture: Literal["amd64", "arm64"] = Field(
        default="amd64",
        description="Architecture that images of jobs are built for; other machines take no run.",
    )
    accelerators: tuple[AcceleratorRow, ...] = Field(
        default=(),
        description="Accelerators beside the [built-in ones](accelerators.md), which these go before;"
        " JSON.",
    )


class Witnessing(Group):
    """Whether this member cosigns the checkpoints of the league's transparency log."""

    name: Annotated[
        str, Written(r"^[^+\s]{0,200}$", "must be a name without '+' and spaces, for example ut.ee")
    ] = Field(
        default="",
        description="Name under which it cosigns, without schema, for example the institution's domain;"
        " empty: it is no witness.",
    )
    log: Annotated[
        str,
        Written(
            r"^[^+\s]{1,200}$",
            "must be a log's origin without '+' and spaces, for example hansa.dev/receipts",
        ),
    ] = Field(
        default="hansa.dev/receipts",
        description="Name of the log that it watches: the ledger's `log.origin`.",
    )
    ml_dsa_key_file: str = Field(
        default="",
        description="PEM file with an ML-DSA-44 key, which it cosigns with beside the node's own key;"
        " empty: none.",
    )


class Timing(Group):
    """How often things happen; every wait gets jitter."""

    heartbeat_seconds: float = Field(
        default=15, gt=0, description="Between renewals of the node's Lease on the hub."
    )
    resync_seconds: float = Field(
        default=600, gt=0, description="Between full lists that repair a watch gone deaf."
    )
    canary_seconds: float = Field(
        default=40,
        gt=0,
        description="Between trials of the second lock: dry runs of what its rules must refuse.",
    )
    retry_seconds: float = Field(
        default=2, gt=0, description="First wait after a failed call; doubles up to a minute."
    )
    hub_answer_seconds: float = Field(
        default=30,
        gt=0,
        description="A call to the hub that has no whole answer for so long has failed, and is made"
        " again.",
    )
    contact_seconds: float = Field(
        default=10,
        gt=0,
        description="Between writes of the last contact with the hub into a Lease at home, which the"
        " guard and a restarted agent go by.",
    )
    disconnect_seconds: float = Field(
        default=45,
        gt=0,
        description="Without the hub for so long, jobs whose contract says Stop are stopped.",
    )
    stop_margin_seconds: float = Field(
        default=STOP_MARGIN_S,
        ge=0,
        description="Unattended jobs are stopped so long before their contract ends, in seconds, so"
        " that their pods are gone when it does.",
    )
    start_limit_seconds: float = Field(
        default=START_LIMIT_S,
        ge=30,
        le=LONGEST_START_LIMIT_S,
        description="From the making of a run until all its workers and its command have to be up, in"
        " seconds; then it is given up here, with what its pods say, and tried elsewhere. A pod that is"
        " replaced later has as long to come up.",
    )
    machine_lost_seconds: float = Field(
        default=120,
        ge=10,
        le=300,
        description="A machine that is not Ready for so long is lost, in seconds: runs with a pod there end"
        " as MachineLost. Kubernetes says that a machine is not Ready 40 to 55 s after its last sign, and"
        " evicts its pods after 300 s.",
    )
    tick_seconds: float = Field(
        default=5,
        gt=0,
        le=BLIND_S // 2,
        description="Between looks at deadlines, unattended time and lost machines, in seconds.",
    )


class MemberSettings(BaseSettings):
    """Settings of `hansa member`."""

    model_config = SettingsConfigDict(
        env_prefix="HANSA_MEMBER_", env_nested_delimiter="__", extra="forbid", frozen=True
    )

    node: str = Field(description="Name of this member's SovereignNode on the hub.")
    namespace: str = Field(
        default="hansa-system", description="Namespace of the agent, its data claims and secrets."
    )
    identity: Identity = Identity()
    leadership: Leadership = Leadership()
    limits: Limits = Limits()
    rendering: Rendering = Rendering()
    logs: Logs = Logs()
    machines: Machines = Machines()
    runs: Runs = Runs()
    timing: Timing = Timing()
    witness: Witnessing = Witnessing()
    serving: Serving = Serving()
    log_level: LogLevel = "INFO"

    def machine_rules(self) -> MachineRules:
        """Return how machines are read, by what runs tolerate and choose them by."""
        return MachineRules(
            self.machines.architecture,
            tuple(Accelerator(**row.model_dump()) for row in self.machines.accelerators),
            self.runs.more_tolerations(),
            self.runs.node_selector,
        )
