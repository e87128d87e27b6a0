"""Kubeconfig files: one cluster, one user, everything inline so that a file can be mounted anywhere."""

from __future__ import annotations

import base64
from pathlib import Path

import yaml

from e2e.testbed.cluster.pki import Identity


def write_kubeconfig(path: Path, *, server: str, ca: Path, identity: Identity) -> Path:
    """Write a kubeconfig of one cluster and one client certificate, all inline."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": "c", "cluster": {"server": server, "certificate-authority-data": _b64(ca)}}
        ],
        "users": [
            {
                "name": "u",
                "user": {
                    "client-certificate-data": _b64(identity.cert),
                    "client-key-data": _b64(identity.key),
                },
            }
        ],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "c",
    }
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(config))
    return path


def _b64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
