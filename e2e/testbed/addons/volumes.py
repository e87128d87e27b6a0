"""Data sets on a member's own volumes: a folder of the host behind a claim."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from e2e.testbed.cluster.cluster import Cluster

_SIZE = "1Gi"


def provide_data(
    site: Cluster, folder: Path, *, namespace: str, claim: str, files: Mapping[str, bytes]
) -> None:
    """Write ``files`` into ``folder`` and bind them to the claim ``namespace/claim``."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    for name, body in files.items():
        (folder / name).write_bytes(body)
        (folder / name).chmod(0o644)
    site.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
        *volume_manifests(folder, namespace=namespace, claim=claim),
    )


def volume_manifests(folder: Path, *, namespace: str, claim: str) -> list[dict[str, Any]]:
    """Return a PersistentVolume over ``folder`` and the claim bound to it and to nothing else."""
    name = f"{namespace}-{claim}"
    common = {"accessModes": ["ReadOnlyMany"], "storageClassName": ""}
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            **common,
            "capacity": {"storage": _SIZE},
            "persistentVolumeReclaimPolicy": "Retain",
            "claimRef": {"namespace": namespace, "name": claim},
            "hostPath": {"path": str(folder), "type": "Directory"},
        },
    }
    request = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": claim, "namespace": namespace},
        "spec": {
            **common,
            "volumeName": name,
            "resources": {"requests": {"storage": _SIZE}},
        },
    }
    return [volume, request]
