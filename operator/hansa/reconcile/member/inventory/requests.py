"""What other people's pods hold of a machine: sums of requests, and no more of the pods than that.

Pods of runs are left out: what runs hold, the hub and the agent count by grants.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from hansa.api.meta import JOB_UID_LABEL
from hansa.grants.envelope import RUN_PREFIX
from hansa.model.quantities import millis

PODS = "pods"
CPU, MEMORY = "cpu", "memory"
ENDED = frozenset({"Succeeded", "Failed"})
Held = Mapping[str, int]
"""Resource → thousandths of its unit; ``pods``: how many pods there are, in thousandths, too."""


def held_by_others(pods: Iterable[Mapping[str, Any]]) -> Counter[str]:
    """Return what the pods of one machine hold of it that are no run's and have not ended."""
    held: Counter[str] = Counter()
    for pod in pods:
        if not is_run(pod) and (pod.get("status") or {}).get("phase") not in ENDED:
            held.update(requests(pod))
            held[PODS] += 1000
    return held


def is_run(pod: Mapping[str, Any]) -> bool:
    """Tell whether a pod is a run's: by its namespace, which the second lock keeps for runs."""
    metadata = pod.get("metadata") or {}
    named = str(metadata.get("namespace", "")).startswith(RUN_PREFIX)
    return named and JOB_UID_LABEL in (metadata.get("labels") or {})


def requests(pod: Mapping[str, Any]) -> Counter[str]:
    """Return what the scheduler counts for a pod.

    Containers and sidecars together, or the largest init container with the sidecars before it; more
    than that where the pod asks as a whole; and the overhead of its runtime class. Of a pod that is being
    resized what is asked for or what it still has, whichever is more.
    """
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    is_vain = any(
        c.get("type") == "PodResizePending" and c.get("reason") == "Infeasible"
        for c in status.get("conditions") or ()
    )
    held = {
        one.get("name"): one
        for kind in ("initContainerStatuses", "containerStatuses")
        for one in status.get(kind) or ()
    }
    steady: Counter[str] = Counter()
    peak: Counter[str] = Counter()
    for container in spec.get("initContainers") or ():
        asked = _asked(container, held.get(container.get("name")), is_vain=is_vain)
        if container.get("restartPolicy") == "Always":
            steady.update(asked)
            peak |= steady
        else:
            peak |= steady + asked
    for container in spec.get("containers") or ():
        steady.update(_asked(container, held.get(container.get("name")), is_vain=is_vain))
    whole = (steady | peak) | _asked(spec, status, is_vain=is_vain)
    whole.update(_read(spec.get("overhead")))
    return whole


def _asked(
    thing: Mapping[str, Any], status: Mapping[str, Any] | None, *, is_vain: bool
) -> Counter[str]:
    """Return what a container, or a pod, asks for or has. ``is_vain``: its machine can never give what it asks for."""
    # A limit without a request is written down as a request by the API server.
    asked = _read((thing.get("resources") or {}).get("requests"))
    now = status or {}
    has = _read((now.get("resources") or {}).get("requests")) | _read(now.get("allocatedResources"))
    return Counter({**asked, **has}) if is_vain else asked | has


def _read(quantities: Any) -> Counter[str]:
    read: Counter[str] = Counter()
    for name, value in (quantities or {}).items():
        try:
            read[str(name)] = millis(str(value))
        except ValueError:
            continue
    return read
