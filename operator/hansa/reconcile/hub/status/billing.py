"""What a run used and costs: the member's figures, cut to what the hub itself can bear out."""

from __future__ import annotations

from hansa.api.aijob import AIJobSpec
from hansa.model.quantities import millis
from hansa.model.snapshot import Site
from hansa.model.times import from_rfc3339
from hansa.reconcile.hub.grant_view import GrantView
from hansa.reconcile.hub.jobs import shape_of
from hansa.reconcile.hub.status.job_status import Bill

HOUR_S = 3600


def bill(
    spec: AIJobSpec, grant: GrantView, site: Site | None, now_s: float, *, currency: str
) -> Bill:
    """Return usage and cost of a grant. No member can report more than its gang could have used."""
    elapsed = max(0, int(now_s - grant.granted_s))
    workers = spec.ray.workers
    started = from_rfc3339(grant.status.running_at)
    ended = from_rfc3339(grant.status.finished_at) or now_s
    wall = min(elapsed, max(0, int(ended - started))) if started is not None else 0
    gpu_seconds = min(grant.status.gpu_seconds, grant.workers * workers.gpus * elapsed)
    used = gpu_seconds or wall
    micros = _cost(spec, grant, site, gpu_seconds, wall) if used and site is not None else 0
    return Bill(gpu_seconds, wall, micros, currency)


def _cost(spec: AIJobSpec, grant: GrantView, site: Site, gpu_seconds: int, wall: int) -> int:
    workers = spec.ray.workers
    if workers.gpus:
        return gpu_seconds * _gpu_price(spec, site) // HOUR_S
    cpu_millis = grant.workers * millis(workers.cpu) + millis(spec.ray.head.cpu)
    return cpu_millis * wall * site.cpu_hour_price // (1000 * HOUR_S)


def _gpu_price(spec: AIJobSpec, site: Site) -> int:
    shape = shape_of(spec)
    fitting = {
        machine.gpu_class
        for machine in site.machines
        if machine.gpus
        and shape.gpu_class in ("", machine.gpu_class)
        and machine.gpu_memory_bytes >= shape.gpu_memory_bytes
    }
    return min((site.gpu_hour_price.get(name, 0) for name in fitting), default=0)
