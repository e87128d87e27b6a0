"""Ways out of a run by the table of accelerators, which the second lock writes as patterns: see ``escapes``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hansa.reconcile.member.inventory.machine import MachineRules

SPEC, C = ("spec",), ("spec", "containers", 0)
NODES = (
    *(*SPEC, "affinity", "nodeAffinity"),
    "requiredDuringSchedulingIgnoredDuringExecution",
)
TERMS = (*NODES, "nodeSelectorTerms")

CARRIED = [one.manifest() for one in MachineRules().tolerations]
"""What every pod of a run tolerates."""

BY_CARDS: Mapping[str, tuple[tuple[str | int, ...], Any, str]] = {
    "GPUs hidden, but not": (
        (*C, "env", "+"),
        {
            "name": "NVIDIA_VISIBLE_DEVICES",
            "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['x']"}},
        },
        "container-env",
    ),
    "what the GPU hook mounts": (
        (*C, "env", "+"),
        {"name": "NVIDIA_DRIVER_CAPABILITIES", "value": "all"},
        "container-env",
    ),
    "what the GPU hook requires": (
        (*C, "env", "+"),
        {"name": "NVIDIA_DISABLE_REQUIRE", "value": "1"},
        "container-env",
    ),
    "another's GPUs by a pipe": (
        (*C, "env", "+"),
        {"name": "CUDA_MPS_PIPE_DIRECTORY", "value": "/tmp"},
        "container-env",
    ),
    "the GPU hook": (
        (*C, "env", "+"),
        {"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"},
        "container-env",
    ),
    "CUDA's paths": (
        (*C, "env", "+"),
        {"name": "CUDA_VISIBLE_DEVICES", "value": "0"},
        "container-env",
    ),
    "machines without a label": (
        (*TERMS, 0, "matchExpressions", "+"),
        {"key": "kubernetes.io/arch", "operator": "DoesNotExist"},
        "pod-affinity",
    ),
    "a label that only begins like a card's": (
        (*TERMS, 0, "matchExpressions", "+"),
        {"key": "nvidia.com/gpu.product-owner", "operator": "In", "values": ["x"]},
        "pod-affinity",
    ),
    "a taint that only begins like a card's": (
        (*SPEC, "tolerations"),
        [{"key": "nvidia.com/gpu-owners", "operator": "Exists"}],
        "pod-tolerations",
    ),
    "a taint that this member tolerates not": (
        (*SPEC, "tolerations"),
        [{"key": "sku", "operator": "Exists"}],
        "pod-tolerations",
    ),
    "a device that only begins like a card": (
        (*C, "resources", "limits"),
        {"memory": "1Gi", "nvidia.com/gpu": "1", "nvidia.com/gpu.shared2": "1"},
        "container-resources",
    ),
    "a preference for one machine": (
        (*SPEC, "affinity", "nodeAffinity", "preferredDuringSchedulingIgnoredDuringExecution"),
        [
            {
                "weight": 1,
                "preference": {
                    "matchFields": [{"key": "metadata.name", "operator": "In", "values": ["m1"]}]
                },
            }
        ],
        "pod-affinity",
    ),
}
