"""Whether the GPUs a job wants are lent here, and which class it gets."""

from __future__ import annotations

from collections.abc import Mapping

from hansa.api.aijob import AIJobSpec
from hansa.api.job.ray_shape import RayShape
from hansa.api.workgrant import WorkGrantSpec
from hansa.grants.facts import GpuStock
from hansa.model.quantities import millis, units

MOST_CPU_MILLIS = 10**11
"""A hundred million CPUs: times a day they still fit into a number of JSON (RFC 8785)."""


def gpus_wanted(grant: WorkGrantSpec) -> int:
    """Return the GPUs of the whole gang, as large as it is granted, with those of its head."""
    return grant.workers * grant.job_spec.ray.workers.gpus


def cpu_millis_wanted(grant: WorkGrantSpec) -> int:
    """Return thousandths of a CPU of all pods of the job; what nobody has counts as ``MOST_CPU_MILLIS``."""
    return min(cpu_millis_of(grant.job_spec.ray, grant.workers), MOST_CPU_MILLIS)


def cpu_millis_of(ray: RayShape, granted: int) -> int:
    """Return thousandths of a CPU of the head and all workers. ``granted``: pods of the gang."""
    groups = sum(group.count * millis(group.cpu) for group in ray.worker_groups)
    return (granted - ray.beside) * millis(ray.workers.cpu) + groups + millis(ray.head.cpu)


def fitting_classes(job: AIJobSpec, stock: Mapping[str, GpuStock]) -> list[str]:
    """Return the classes the job may use here, least memory first, then by name."""
    workers = job.ray.workers
    floor = units(workers.gpu_memory) if workers.gpu_memory else 0
    fitting = [
        name
        for name, gpus in stock.items()
        if (workers.gpu_class or name) == name
        and gpus.memory_bytes >= floor
        and not (gpus.is_slice and workers.gpus > 1)
    ]
    return sorted(fitting, key=lambda name: (stock[name].memory_bytes, name))


def pick_class(grant: WorkGrantSpec, stock: Mapping[str, GpuStock]) -> str:
    """Return the class of the whole gang; empty when it wants no GPU or none has room."""
    wanted = gpus_wanted(grant)
    if not wanted:
        return ""
    fitting = fitting_classes(grant.job_spec, stock)
    return next((name for name in fitting if stock[name].free >= wanted), "")


def gpu_objection(grant: WorkGrantSpec, stock: Mapping[str, GpuStock]) -> str:
    """Return why the gang's GPUs are not to be had, or nothing when they are."""
    job, wanted = grant.job_spec, gpus_wanted(grant)
    if not wanted or pick_class(grant, stock):
        return ""
    classes = fitting_classes(job, stock)
    slices = "" if classes else _slices(job, stock)
    if slices:
        return slices
    if not classes:
        asked = (
            job.ray.workers.gpu_class or f"at least {job.ray.workers.gpu_memory or 'any'} memory"
        )
        return f"no GPU of {asked} is lent here"
    free = max(stock[name].free for name in classes)
    return f"{wanted} GPUs are asked for, {free} of one class are lent and free"


def _slices(job: AIJobSpec, stock: Mapping[str, GpuStock]) -> str:
    """Return that the job wants several slices for one worker, where that is what is wrong."""
    workers = job.ray.workers
    one = workers.model_copy(update={"gpus": 1})
    alone = job.model_copy(update={"ray": job.ray.model_copy(update={"workers": one})})
    classes = fitting_classes(alone, stock) if workers.gpus > 1 else []
    if not classes:
        return ""
    return (
        f"one worker asks for {workers.gpus} of {classes[0]}, which are slices and may be of one card:"
        " ask for 1 GPU a worker and for more workers"
    )
