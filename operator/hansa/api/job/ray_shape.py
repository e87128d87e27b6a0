"""The Ray cluster of a job, as a user writes it: a head and groups of workers.

Its gang is what the grant counts and members place together: the pods that have GPUs, each as many of one
class, or the workers of the first group where no pod has any. What else there is comes along, whole.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

from pydantic import ConfigDict, Field, StringConstraints, field_validator, model_validator

from hansa.api.meta import (
    RAY_RESOURCE,
    RELEASE_NUMBER,
    GpuClass,
    Model,
    Name,
    Quantity,
    checked,
    keyed,
    rule,
)

RAY_FLOOR = (2, 54)
"""Ray before 2.54 has known remote code execution flaws."""


LEAST_MEMORY = "1Mi"
IN_BYTES = f"must be {LEAST_MEMORY} or more: without a unit it is bytes; write 16Gi"
NO_CPU = "cpu must be more than 0: Ray gives no task to a pod without"


_BYTES = {"": 1, **{s: 1000**n for n, s in enumerate("kMGT", 1)}} | {
    f"{s}i": 1024**n for n, s in enumerate("KMGT", 1)
}


def _is_some(quantity: str) -> bool:
    number = quantity.rstrip("kmKMGTi")
    return bool(Decimal(number) * _BYTES.get(quantity[len(number) :], 0) >= _BYTES["Mi"])


def some_memory(field: str) -> dict[str, Any]:
    """Return the rule of a field for an amount of memory that somebody can have meant."""
    least = f"quantity(string(self)).compareTo(quantity('{LEAST_MEMORY}')) >= 0"
    return checked(rule(least, f"{field} {IN_BYTES}"))


class Resources(Model):
    """CPU and memory of one pod."""

    cpu: Quantity = Field(
        default="1",
        description="CPU of the pod.",
        json_schema_extra=checked(rule("string(self).matches('[1-9]')", NO_CPU)),
    )
    memory: Quantity = Field(
        default="2Gi",
        description="Memory of the pod: what it is given, and the most it may take.",
        json_schema_extra=some_memory("memory"),
    )

    @field_validator("cpu")
    @classmethod
    def _some_cpu(cls, cpu: str) -> str:
        # The member reads grants from a hub it does not trust: the CRD's rules are not enough there.
        if not cpu.strip("0.kmKMGTi"):
            raise ValueError(NO_CPU)
        return cpu

    @field_validator("memory")
    @classmethod
    def _some_memory(cls, memory: str) -> str:
        if not _is_some(memory):
            raise ValueError(f"memory {IN_BYTES}")
        return memory


RAYS_OWN = ("CPU", "GPU", "memory", "object_store_memory")
RAYS_OWN_ADVICE = "CPU, GPU and memory are no custom resources, Ray does not start with them: give cpu, gpus, memory"


class CustomResource(Model):
    """A resource that only Ray knows: tasks that ask for it run where it is."""

    model_config = ConfigDict(json_schema_extra=keyed("name"))

    name: Annotated[str, StringConstraints(pattern=RAY_RESOURCE, max_length=63)] = Field(
        description="Name, as tasks ask for it.",
        json_schema_extra=checked(rule(f"!(self in {[*RAYS_OWN]})", RAYS_OWN_ADVICE)),
    )
    amount: int = Field(default=1, ge=1, le=1_000_000, description="How much a worker has.")

    @field_validator("name")
    @classmethod
    def _not_rays_own(cls, name: str) -> str:
        if name in RAYS_OWN:
            raise ValueError(RAYS_OWN_ADVICE)
        return name


RESERVED_NAMES = ("workers", "headgroup")
RESERVED = (
    "workers is the first group's name, ray.workers, and headgroup the head's with KubeRay, which would"
    " count the head as one of its workers: choose another"
)
MOST_GROUPS = 8
MOST_WORKERS = 1024
"""In a group."""
MOST_IN_GANG = 16_384
"""No shape has more: 1,024 workers in each group, and the head."""
MOST_ON_A_POD = 16
"""GPUs."""
SPLIT_PODS = "Make more workers of the smaller number, or two jobs"
EQUAL_GPUS = (
    "must be 0 or as many as ray.workers.gpus: the pods of a job that have GPUs have equally many."
    f" {SPLIT_PODS}"
)
NO_POD = "may be 0 only where the head has GPUs: a head without GPUs takes no tasks; give count at least 1"
"""What is said of shapes that no member places."""


class Head(Resources):
    """The head pod; where it has GPUs it takes tasks as a worker does."""

    gpus: int = Field(
        default=0,
        ge=0,
        le=MOST_ON_A_POD,
        description="GPUs of the head: as many as each worker has, of the same class, or none.",
    )


class WorkerGroup(Resources):
    """A further group of workers, as many as it says while the job runs."""

    model_config = ConfigDict(json_schema_extra=keyed("name"))

    name: Name = Field(
        description="Name of the group; the first group, ray.workers, is called workers.",
        json_schema_extra=checked(rule(f"!(self in {[*RESERVED_NAMES]})", RESERVED)),
    )
    count: int = Field(default=1, ge=1, le=MOST_WORKERS, description="Workers of the group.")
    gpus: int = Field(
        default=0,
        ge=0,
        le=MOST_ON_A_POD,
        description="GPUs of each worker: as many as each of ray.workers has, of the same class, or none.",
    )
    custom_resources: tuple[CustomResource, ...] = Field(
        default=(), max_length=8, description="Ray's custom resources of each worker."
    )

    @field_validator("name")
    @classmethod
    def _not_reserved(cls, name: str) -> str:
        if name in RESERVED_NAMES:
            raise ValueError(RESERVED)
        return name


class Workers(Resources):
    """The first Ray worker group: a gang of identical pods, placed all or none."""

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

    count: int = Field(
        default=1,
        ge=0,
        le=MOST_WORKERS,
        description="Workers to run; 0 where the head has the GPUs and works alone.",
    )
    min_count: int | None = Field(
        default=None,
        ge=1,
        le=MOST_WORKERS,
        description="Elastic jobs: fewest workers that are useful.",
    )
    gpus: int = Field(default=0, ge=0, le=MOST_ON_A_POD, description="GPUs of each worker.")
    custom_resources: tuple[CustomResource, ...] = Field(
        default=(),
        max_length=8,
        description="Ray's custom resources of each worker, by which tasks choose workers.",
    )
    gpu_class: GpuClass | None = Field(default=None, description="GPU class wanted.")
    gpu_memory: Quantity | None = Field(
        default=None,
        description="Least memory of one GPU, when any class will do.",
        json_schema_extra=some_memory("gpuMemory"),
    )

    @field_validator("gpu_memory")
    @classmethod
    def _some_gpu_memory(cls, memory: str | None) -> str | None:
        if memory is not None and not _is_some(memory):
            raise ValueError(f"gpuMemory {IN_BYTES}")
        return memory


class RayShape(Model):
    """The Ray cluster of the job: a head and groups of workers."""

    model_config = ConfigDict(
        json_schema_extra=checked(
            rule(
                "!has(self.head) || !has(self.head.gpus) || self.head.gpus == 0 ||"
                " (has(self.workers) && has(self.workers.gpus) && self.head.gpus == self.workers.gpus)",
                f"head.gpus {EQUAL_GPUS}",
                field_path=".head.gpus",
            ),
            rule(
                "!has(self.workerGroups) || self.workerGroups.all(group,"
                " !has(group.gpus) || group.gpus == 0 ||"
                " (has(self.workers) && has(self.workers.gpus) && group.gpus == self.workers.gpus))",
                f"gpus of a group {EQUAL_GPUS}",
                field_path=".workerGroups",
            ),
            rule(
                "!has(self.workers) || !has(self.workers.count) || self.workers.count > 0 ||"
                " (has(self.head) && has(self.head.gpus) && self.head.gpus > 0)",
                f"workers.count {NO_POD}",
                field_path=".workers.count",
            ),
        )
    )

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
    head: Head = Field(default=Head(), description="The head pod.")
    workers: Workers = Field(default=Workers(), description="The first worker group.")
    worker_groups: tuple[WorkerGroup, ...] = Field(
        default=(),
        max_length=MOST_GROUPS,
        description="Further worker groups. They have no GPUs, or as many a worker as ray.workers.",
    )

    @property
    def beside(self) -> int:
        """Pods of the gang that are none of ``workers``: those with GPUs in other groups, and such a head."""
        groups = sum(group.count for group in self.worker_groups if group.gpus)
        return groups + (self.head.gpus > 0)

    @property
    def gang(self) -> tuple[int, int]:
        """Fewest and most pods of the gang."""
        least = self.workers.min_count or self.workers.count
        return least + self.beside, self.workers.count + self.beside

    def worker_pods(self, granted: int) -> int:
        """Return how many workers all groups have. ``granted``: pods of the gang."""
        plain = sum(group.count for group in self.worker_groups if not group.gpus)
        return granted - (self.head.gpus > 0) + plain

    @field_validator("version")
    @classmethod
    def _above_the_floor(cls, version: str) -> str:
        if tuple(int(part) for part in version.split(".")[:2]) < RAY_FLOOR:
            raise ValueError("Ray before 2.54.0 has known remote code execution flaws")
        return version

    @model_validator(mode="after")
    def _gang_of_equals(self) -> RayShape:
        # The member reads grants from a hub it does not trust: the CRD's rules are not enough there.
        if self.head.gpus not in (0, self.workers.gpus):
            raise ValueError(f"head.gpus {EQUAL_GPUS}")
        for group in self.worker_groups:
            if group.gpus not in (0, self.workers.gpus):
                raise ValueError(f"gpus of group {group.name} {EQUAL_GPUS}")
        if not self.workers.count and not self.head.gpus:
            raise ValueError(f"workers.count {NO_POD}")
        if len({group.name for group in self.worker_groups}) < len(self.worker_groups):
            raise ValueError("two workerGroups have one name")
        return self
