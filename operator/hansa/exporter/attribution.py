"""Which AIJob a GPU serves, as far as that can be known without privileges.

Two facts are used, the surer first. (1) A process on the GPU whose cgroup names a job's pod: exact,
but the driver shows foreign processes only to a pod with ``hostPID``. (2) Counting: when the pods of
a single job were given every GPU of the machine, and other people's pods none, each GPU is that job's;
when no pod of the league was given any, none is. A slice may be of any card, and so may a share that no
label tells. Everything between is "unknown": a guess would end up on somebody's bill.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hansa.api.meta import INSTITUTION_LABEL, JOB_UID_LABEL
from hansa.ports import GpuReading

GPU_RESOURCE = "nvidia.com/gpu"
_SLICE = re.compile(r"nvidia\.com/(mig-|gpu\.shared$)")
_CUT = re.compile(r"[-_](SHARED$|MIG-)")
_POD_IN_CGROUP = re.compile(r"pod([0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12})")


@dataclass(frozen=True, slots=True)
class Served:
    """Whose work a GPU does."""

    job: str
    institution: str = ""


NOBODY = Served("none")
UNKNOWN = Served("unknown")


@dataclass(frozen=True, slots=True)
class JobPod:
    """A running pod of the league on this machine."""

    uid: str
    served: Served
    gpus: int
    has_slices: bool = False
    """Whether what it was given are slices: of which card, nobody tells."""


def job_pod(manifest: Mapping[str, Any]) -> JobPod:
    """Return what matters of a pod that carries the job's labels."""
    metadata = manifest["metadata"]
    labels = metadata.get("labels", {})
    containers = manifest.get("spec", {}).get("containers", [])
    limits = [box.get("resources", {}).get("limits", {}) for box in containers]
    slices = sum(_count(limit[name]) for limit in limits for name in limit if _SLICE.match(name))
    return JobPod(
        uid=metadata.get("uid", ""),
        served=Served(labels.get(JOB_UID_LABEL, ""), labels.get(INSTITUTION_LABEL, "")),
        gpus=sum(_count(limit.get(GPU_RESOURCE, 0)) for limit in limits) + slices,
        has_slices=bool(slices) or _wants_slices(manifest.get("spec", {})),
    )


def _count(value: object) -> int:
    return int(str(value)) if str(value).isdecimal() else 0


def _wants_slices(spec: Mapping[str, Any]) -> bool:
    """Tell whether a run's pod asked for machines whose cards are cut or shared."""
    affinity = spec.get("affinity", {}).get("nodeAffinity", {})
    terms = affinity.get("requiredDuringSchedulingIgnoredDuringExecution", {})
    asked = [e for t in terms.get("nodeSelectorTerms", ()) for e in t.get("matchExpressions", ())]
    return any(
        (e.get("values") and ("-gpu-sharing-" in e["key"] or "-gpu-partition-" in e["key"]))
        or any(_CUT.search(value) for value in e.get("values", ()))
        for e in asked
    )


def pod_of_cgroup(text: str) -> str:
    """Return the pod uid in a ``/proc/PID/cgroup``, or an empty string.

    >>> pod_of_cgroup("0::/kubepods-pod0f6b7c7e_3f1a_4c2d_9d6b_0c5b1c9a7e11.slice/x")
    '0f6b7c7e-3f1a-4c2d-9d6b-0c5b1c9a7e11'
    """
    found = _POD_IN_CGROUP.search(text)
    return found.group(1).replace("_", "-") if found else ""


def attribute(
    readings: Sequence[GpuReading],
    pods: Iterable[JobPod] | None,
    *,
    cgroup_of: Callable[[int], str],
    held_by_others: Mapping[str, int] | None = None,
) -> dict[str, Served]:
    """Return GPU uuid → whom it serves. ``pods`` None: the pods of this machine are not known.

    ``held_by_others``: resource → thousandths that other people's pods were given, where it is known.
    """
    if pods is None:
        return {gpu.uuid: UNKNOWN for gpu in readings}
    holders = [pod for pod in pods if pod.gpus]
    by_count = _by_count(holders, len(readings))
    taken = (name for name, many in (held_by_others or {}).items() if many)
    if holders and any(name == GPU_RESOURCE or _SLICE.match(name) for name in taken):
        by_count = UNKNOWN
    by_uid = {pod.uid: pod.served for pod in holders}
    return {gpu.uuid: _by_process(gpu, by_uid, cgroup_of) or by_count for gpu in readings}


def _by_process(
    gpu: GpuReading, by_uid: Mapping[str, Served], cgroup_of: Callable[[int], str]
) -> Served | None:
    found = {by_uid.get(pod_of_cgroup(cgroup_of(pid))) for pid in gpu.process_ids} - {None}
    return found.pop() if len(found) == 1 else None


def _by_count(holders: Sequence[JobPod], gpus: int) -> Served:
    if not holders:
        return NOBODY
    served = {pod.served for pod in holders}
    if any(pod.has_slices for pod in holders):
        return UNKNOWN
    whole = sum(pod.gpus for pod in holders) >= gpus
    return served.pop() if whole and len(served) == 1 else UNKNOWN
