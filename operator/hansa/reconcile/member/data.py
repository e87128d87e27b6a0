"""How a job in its own namespace reads data that the institution holds in another.

Claims cannot cross namespaces, so each run gets a PersistentVolume of its own with the same source
as the one that holds the data: read-only, pre-bound to the run's claim, reclaim policy Retain.
Deleting it removes a name, never data; the holder's own volume and claim are not touched.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hansa.ports import Manifest
from hansa.reconcile.member.platform import checkpoints
from hansa.reconcile.member.run_request import Creation, RunRequest

VOLUMES = "/api/v1/persistentvolumes"
KEPT_FIELDS = ("capacity", "mountOptions", "nodeAffinity", "volumeMode")
SOURCES = frozenset({"cephfs", "csi", "fc", "hostPath", "iscsi", "local", "nfs", "rbd"})
READ_ONLY_SOURCES = SOURCES - {"hostPath", "local"}
"""Sources that have a readOnly field of their own; the others are mounted read-only."""
MODE = "ReadOnlyMany"
SHARED = frozenset({MODE, "ReadWriteMany"})
ONE_POD = "ReadWriteOncePod"
DISKS = frozenset({"csi", "fc", "iscsi", "rbd"})
"""Sources that are attached to a machine, or may be: their access modes say to how many. A server's file
system (nfs, cephfs) is shared whatever they say; a folder is on the machine that the volume names."""


def volumes(request: RunRequest) -> list[Creation]:
    """Return a volume and a claim for each data set the job reads, and a claim for its checkpoints."""
    claims = f"/api/v1/namespaces/{request.name}/persistentvolumeclaims"
    made = []
    for dataset in request.datasets:
        spec = request.volumes[dataset.name]
        made.append(Creation(VOLUMES, _volume(request, dataset.name, spec)))
        made.append(Creation(claims, _claim(request, dataset.name, spec)))
    if request.lending.is_lent:
        spec = checkpoints.claim_spec(request.options.checkpoints, request.lending)
        metadata = {"name": checkpoints.CLAIM, "labels": request.labels}
        body = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata}
        made.append(Creation(claims, body | {"spec": spec}))
    return made


def unusable(spec: Mapping[str, Any], machines: int = 1) -> str:
    """Return why a volume cannot be lent to a job, or nothing when it can.

    ``machines``: how many take runs. A run has a head and workers, all of which mount its data and may be
    scheduled apart; a disk that one machine at a time can hold leaves the others waiting for ever.
    """
    if not SOURCES & spec.keys():
        return "its volume has no source that can be mounted a second time"
    if spec.get("volumeMode", "Filesystem") != "Filesystem":
        return "its volume is a block device; a file system is needed"
    modes = set(spec.get("accessModes") or ())
    if modes and modes <= {ONE_POD}:
        return f"its volume is {ONE_POD}: one pod alone may mount it, and a run has several"
    if machines > 1 and DISKS & spec.keys() and modes and not modes & SHARED:
        return (
            f"its volume is {', '.join(sorted(modes))}: one machine at a time can hold it, and {machines}"
            f" take runs. Lend it from a class with {MODE}, or name one machine in runs.nodeSelector"
        )
    return ""


def volume_name(request: RunRequest, dataset: str) -> str:
    """Return the name of the run's volume for a data set."""
    return f"{request.name}-{dataset}"


def _volume(request: RunRequest, dataset: str, source: Mapping[str, Any]) -> Manifest:
    spec: Manifest = {name: source[name] for name in KEPT_FIELDS if name in source}
    for name in SOURCES & source.keys():
        read_only = {"readOnly": True} if name in READ_ONLY_SOURCES else {}
        spec[name] = dict(source[name]) | read_only
    spec |= {
        "accessModes": [MODE],
        "persistentVolumeReclaimPolicy": "Retain",
        "storageClassName": "",
        "claimRef": {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "namespace": request.name,
            "name": dataset,
        },
    }
    metadata = {"name": volume_name(request, dataset), "labels": request.labels}
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": metadata, "spec": spec}


def _claim(request: RunRequest, dataset: str, source: Mapping[str, Any]) -> Manifest:
    spec = {
        "accessModes": [MODE],
        "storageClassName": "",
        "volumeName": volume_name(request, dataset),
        "resources": {"requests": {"storage": source["capacity"]["storage"]}},
    }
    metadata = {"name": dataset, "labels": request.labels}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec}
