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
            held.update(requests(pod.get("spec") or {}))
            held[PODS] += 1000
    return held


def is_run(pod: Mapping[str, Any]) -> bool:
    """Tell whether a pod is a run's: by its namespace, which the second lock keeps for runs."""
    metadata = pod.get("metadata") or {}
    named = str(metadata.get("namespace", "")).startswith(RUN_PREFIX)
    return named and JOB_UID_LABEL in (metadata.get("labels") or {})


def requests(spec: Mapping[str, Any]) -> Counter[str]:
    """Return what the scheduler counts for a pod.

    Containers and sidecars together, or the largest init container with the sidecars before it; more
    than that where the pod asks as a whole; and the overhead of its runtime class.
    """
    steady: Counter[str] = Counter()
    peak: Counter[str] = Counter()
    for container in spec.get("initContainers") or ():
        asked = _asked(container)
        if container.get("restartPolicy") == "Always":
            steady.update(asked)
            peak |= steady
        else:
            peak |= steady + asked
    for container in spec.get("containers") or ():
        steady.update(_asked(container))
    whole = (steady | peak) | _asked(spec)
    whole.update(_read(spec.get("overhead")))
    return whole


def _asked(thing: Mapping[str, Any]) -> Counter[str]:
    # A limit without a request is written down as a request by the API server.
    return _read((thing.get("resources") or {}).get("requests"))


def _read(quantities: Any) -> Counter[str]:
    read: Counter[str] = Counter()
    for name, value in (quantities or {}).items():
        try:
            read[str(name)] = millis(str(value))
        except ValueError:
            continue
    return read
