"""A capacity probe as the AIJob that it is: a program of its own, at the one node that is asked."""

from __future__ import annotations

import hashlib
import inspect
from typing import Any

from hansa.api.meta import API_VERSION
from hansa.ledger.settings import Probes
from hansa.ports import Manifest
from hansa.verification.probe import prover
from hansa.verification.probe.verifier import Challenge

PROGRAM = "probe.py"
KEPT_S = 7 * 86_400
"""How long a probe that has ended can be looked at."""
MOST_RUNTIME_S = 3_600
EVERYWHERE = {"allow": ["World"]}
"""A probe reads nobody's data."""


def name_of(subject: str) -> str:
    """Return the name of a probe's job; ``subject``: of the probe in the book."""
    return f"probe-{hashlib.sha256(subject.encode()).hexdigest()[:16]}"


def order(
    challenge: Challenge, node: str, name: str, settings: Probes, *, gpu_class: str = ""
) -> Manifest:
    """Return the AIJob. ``gpu_class``: of the one GPU that is asked; empty: the node has none."""
    workers: dict[str, Any] = {"count": 1, "memory": "2Gi"}
    if gpu_class:
        workers |= {"gpus": 1, "gpuClass": gpu_class}
    arguments = (challenge.seed.hex(), str(challenge.n), str(int(bool(gpu_class))))
    return {
        "apiVersion": API_VERSION,
        "kind": "AIJob",
        "metadata": {"name": name, "namespace": settings.namespace},
        "spec": {
            "pool": settings.pool,
            "image": settings.image,
            "entrypoint": ["python3", f"/code/{PROGRAM}", *arguments],
            "files": [{"name": PROGRAM, "content": inspect.getsource(prover)}],
            "ray": {"version": settings.ray_version, "workers": workers},
            "residency": {"location": EVERYWHERE, "legalControl": EVERYWHERE},
            "maxRuntimeSeconds": min(settings.within_seconds, MOST_RUNTIME_S),
            "result": {},
            "audit": {"node": node},
            "ttlSecondsAfterFinished": KEPT_S,
        },
    }
