"""KWOK plays machines and their pods: what is bound there is told to run, and nothing runs."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

from e2e.testbed.build.binaries import Binaries
from e2e.testbed.cluster.spec import SiteSpec

PLAYED = "hansa.dev/played"
"""Label of a machine that KWOK plays beside real ones."""


def command(
    binaries: Binaries, kubeconfig: Path, config: Path, *, only: str = ""
) -> list[str | Path]:
    """Return KWOK's command line; ``config``: its stages; it plays the machines labelled ``only``, or all."""
    which = f"--manage-nodes-with-label-selector={only}" if only else "--manage-all-nodes=true"
    lease = "--node-lease-duration-seconds=40"
    return [binaries["kwok"], f"--kubeconfig={kubeconfig}", f"--config={config}", which, lease]


def machine(spec: SiteSpec, index: int) -> dict[str, Any]:
    """Return a machine of a site."""
    return _machine(spec, f"{spec.name}-{index}", spec.node_labels())


def machine_abroad(spec: SiteSpec) -> dict[str, Any]:
    """Return the site's machine under another law: for runs alone, as a machine with GPUs often is."""
    labels = spec.node_labels() | {"hansa.dev/jurisdiction": spec.abroad, PLAYED: "true"}
    made = _machine(spec, f"{spec.name}-abroad", labels)
    made["spec"] = {"taints": [{"key": "nvidia.com/gpu", "effect": "NoSchedule"}]}
    return made


def _machine(spec: SiteSpec, name: str, labels: dict[str, str]) -> dict[str, Any]:
    capacity = {"cpu": str(spec.cpus), "memory": f"{spec.memory_gib}Gi", "pods": "200"}
    if spec.gpus:
        capacity["nvidia.com/gpu"] = str(spec.gpus.count)
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/arch": "amd64"} | labels},
        "status": {"capacity": capacity, "allocatable": capacity},
    }


def stages(kwok_source: Path, *, rayjobs: bool) -> str:
    """Return KWOK's configuration: its own fast stages, and what the operator says of RayJobs if wanted."""
    folder = kwok_source / "kustomize" / "stage"
    names = ("node/fast", "node/heartbeat-with-lease", "pod/fast")
    files = [p for name in names for p in sorted((folder / name).glob("*.yaml"))]
    texts = [p.read_text() for p in files if p.name != "kustomization.yaml"]
    if rayjobs:
        texts.append(
            resources.files("e2e.testbed.providers").joinpath("rayjob-stages.yaml").read_text()
        )
    return "\n---\n".join(texts)
