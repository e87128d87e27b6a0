"""The Ray cluster of a job, as a user writes it: one head and one group of equal workers."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints, field_validator

from hansa.api.meta import (
    RAY_RESOURCE,
    RELEASE_NUMBER,
    GpuClass,
    Model,
    Quantity,
    checked,
    keyed,
    rule,
)

RAY_FLOOR = (2, 54)
"""Ray before 2.54 has known remote code execution flaws."""


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


class CustomResource(Model):
    """A resource that only Ray knows: tasks that ask for it run where it is."""

    model_config = ConfigDict(json_schema_extra=keyed("name"))

    name: Annotated[str, StringConstraints(pattern=RAY_RESOURCE, max_length=63)] = Field(
        description="Name, as tasks ask for it."
    )
    amount: int = Field(default=1, ge=1, le=1_000_000, description="How much a worker has.")


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
    custom_resources: tuple[CustomResource, ...] = Field(
        default=(),
        max_length=8,
        description="Ray's custom resources of each worker, by which tasks choose workers.",
    )
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
