"""Orders for the tests of rendering."""

from __future__ import annotations

from typing import Any

from hansa.api.workgrant import WorkGrantSpec
from hansa.reconcile.member.inventory.stock import CardChoice
from hansa.reconcile.member.run_request import RunRequest
from tests.unit.grants.grant_kit import grant, job, policy

CARDS = CardChoice("nvidia.com/gpu", (("nvidia.com/gpu.product", ("NVIDIA-GeForce-RTX-4090",)),))
HOST_PATH = {
    "capacity": {"storage": "1Gi"},
    "accessModes": ["ReadWriteOnce"],
    "persistentVolumeReclaimPolicy": "Delete",
    "storageClassName": "fast",
    "claimRef": {"namespace": "hansa-system", "name": "cohort", "uid": "x"},
    "hostPath": {"path": "/srv/cohort"},
    "nodeAffinity": {"required": {"nodeSelectorTerms": []}},
}


def request(law: dict[str, Any] | None = None, **changes: Any) -> RunRequest:
    """Return a request for ``grant_kit.job``, changed as asked."""
    wanted = {key: changes.pop(key) for key in list(changes) if key not in RunRequest.__slots__}
    wire = grant(job(**wanted))
    return RunRequest(
        **{
            "grant": WorkGrantSpec.model_validate(wire),
            "wire": wire,
            "policy": policy(**(law or {})),
            "gpu_class": "nvidia-rtx-4090",
            "cards": CARDS,
            "places": ("EE",),
            "volumes": {"cohort": HOST_PATH},
            "resolver": "10.96.0.53",
        }
        | changes
    )
