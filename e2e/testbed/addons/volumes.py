"""Folders of the host behind claims: data sets on a member's own volumes, and the ledger's books."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from e2e.testbed.cluster.cluster import Cluster

_SIZE = "1Gi"
_READ, _WRITE = "ReadOnlyMany", "ReadWriteOnce"


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
    volume = _volume(folder, (namespace, claim), mode=_READ, size=_SIZE)
    request = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": claim, "namespace": namespace},
        "spec": {
            "accessModes": [_READ],
            "storageClassName": "",
            "volumeName": volume["metadata"]["name"],
            "resources": {"requests": {"storage": _SIZE}},
        },
    }
    return [volume, request]


def provide_room(site: Cluster, folder: Path, *, claim: tuple[str, str], user: int) -> None:
    """Make a volume over ``folder`` for a claim that a chart makes: (namespace, name); ``user`` writes."""
    folder.mkdir(parents=True, exist_ok=True)
    os.chown(folder, user, user)
    site.apply(_volume(folder, claim, mode=_WRITE, size="10Gi"))


def _volume(folder: Path, claim: tuple[str, str], *, mode: str, size: str) -> dict[str, Any]:
    namespace, name = claim
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"{namespace}-{name}"},
        "spec": {
            "accessModes": [mode],
            "storageClassName": "",
            "capacity": {"storage": size},
            "persistentVolumeReclaimPolicy": "Retain",
            "claimRef": {"namespace": namespace, "name": name},
            "hostPath": {"path": str(folder), "type": "Directory"},
        },
    }
