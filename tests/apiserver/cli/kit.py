"""What the tests of the command line find on their API server: a small league, and three users."""

from __future__ import annotations

import json
from pathlib import Path

import yaml
from click.testing import CliRunner, Result

from e2e.testbed.cluster.controlplane import ControlPlane
from hansa.cli.main import cli
from tests.residency_kit import EVERYWHERE, stands_in

SPACE, OWNER, READER, POOL = "cli-clinic", "cli-owner", "cli-reader", "cli-pool"
NODES = {"cli-tartu": ("EE", "0.9"), "cli-riga": ("LV", "0.5"), "cli-lisbon": ("PT", "0.1")}
WHEN = "2026-01-01T00:00:00Z"
SCANS = {"name": "cli-scans", "jurisdiction": "EE", "residency": EVERYWHERE}


def node(name: str, jurisdiction: str, price: str) -> dict:
    return {
        "apiVersion": "hansa.dev/v1alpha1",
        "kind": "SovereignNode",
        "metadata": {"name": name},
        "spec": {
            "institution": f"{name}-uni",
            "jurisdiction": jurisdiction,
            "legalControl": [jurisdiction],
            "accepted": "Accepted",
            "releaseKey": "A" * 43 + "=",
            "prices": [{"gpuClass": "nvidia-t4", "perGpuHour": price}],
        },
    }


def node_status(jurisdiction: str) -> dict:
    shape = {"machines": 1, "gpuClass": "nvidia-t4", "gpus": 2, "gpuMemory": "16Gi"}
    return {
        "declaredJurisdiction": jurisdiction,
        "declaredLegalControl": [jurisdiction],
        "switch": "Open",
        "inventory": [{"gpuClass": "nvidia-t4", "memory": "16Gi", "total": 2}],
        "shapes": [shape | {"cpu": "64", "memory": "256Gi"}],
        "datasets": [SCANS] if jurisdiction == "EE" else [],
    }


def job(name: str) -> dict:
    return {
        "apiVersion": "hansa.dev/v1alpha1",
        "kind": "AIJob",
        "metadata": {"name": name, "namespace": SPACE},
        "spec": {
            "pool": POOL,
            "image": "hansa.local/ray@sha256:" + "0" * 64,
            "entrypoint": ["python3", "x.py"],
            "ray": {"version": "2.60.0", "workers": {"count": 1, "gpus": 1}},
            "residency": stands_in("Baltic"),
        },
    }


JOB_STATUS = {
    "verdicts": [{"node": "cli-lisbon", "reason": "ResidencyDenied", "message": "stands in PT"}],
    "node": "cli-riga",
    "epoch": 1,
    "finishedAt": WHEN,
    "logTail": "epoch 1\naccuracy 0.97",
    "conditions": [
        {"type": "Succeeded", "status": "True", "reason": "Succeeded", "lastTransitionTime": WHEN}
    ],
}


class League:
    """A control plane with a small league on it."""

    def __init__(self, plane: ControlPlane, folder: Path) -> None:
        self.plane = plane
        self.folder = folder

    def apply(self, *manifests: dict) -> None:
        self.plane.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(manifests))

    def set_status(self, kind: str, name: str, status: dict, *where: str) -> None:
        patch = json.dumps({"status": status})
        self.plane.kubectl(
            "patch", kind, name, *where, "--subresource=status", "--type=merge", "-p", patch
        )

    def run(self, *arguments: str, kubeconfig: Path | None = None, **more: str) -> Result:
        chosen = str(kubeconfig or self.plane.kubeconfig)
        return CliRunner(env={"KUBECONFIG": chosen}).invoke(cli, arguments, **more)


def allowed(role: str, users: list[str], rights: dict[str, str], **where: str) -> list[dict]:
    """A role and its binding. ``rights``: resource → verb."""
    group, space = "rbac.authorization.k8s.io", {"name": users[0], **where}
    base = {"apiVersion": f"{group}/v1", "metadata": space}
    rules = [
        {
            "apiGroups": ["" if what == "namespaces" else "hansa.dev"],
            "resources": [what],
            "verbs": [verb],
        }
        for what, verb in rights.items()
    ]
    return [
        base | {"kind": role, "rules": rules},
        base
        | {
            "kind": f"{role}Binding",
            "roleRef": {"apiGroup": group, "kind": role, "name": users[0]},
            "subjects": [{"apiGroup": group, "kind": "User", "name": user} for user in users],
        },
    ]


def manifests() -> list[dict]:
    labels = {"hansa.dev/institution": "hospital"}
    all_but_jobs = dict.fromkeys(("sovereignnodes", "computepools", "namespaces"), "list")
    pool = {
        "apiVersion": "hansa.dev/v1alpha1",
        "kind": "ComputePool",
        "metadata": {"name": POOL},
        "spec": {"nodes": {"names": list(NODES)}, "residency": EVERYWHERE},
    }
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE, "labels": labels}},
        *allowed("Role", [OWNER, READER], {"aijobs": "get"}, namespace=SPACE),
        *allowed("ClusterRole", [READER], all_but_jobs),
        pool,
        *(node(name, *facts) for name, facts in NODES.items()),
        job("done"),
        job("new"),
    ]
