"""Node objects as platforms make them, by hand from public documentation, with what is right for each.

Sources: NVIDIA's GPU feature discovery, device plugin and GPU Operator; the documentation of GKE, EKS
(Karpenter), AKS, OpenShift and RKE2; AMD's node labeller; Intel's device plugins.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

GI = 1 << 30


@dataclass(frozen=True)
class Case:
    """One Node object and what it is: class → (cards, MiB of one; 0: not known)."""

    node: dict[str, Any]
    classes: Mapping[str, tuple[int, int]]
    slices: frozenset[str] = frozenset()
    usable: bool = True
    says: str = ""
    """What people are told; empty: nothing."""


def node(
    labels: Mapping[str, str] | None = None,
    devices: Mapping[str, str] | None = None,
    *,
    broken: Mapping[str, str] | None = None,
    taints: tuple[str, ...] = (),
    ready: str = "True",
    **more: Any,
) -> dict[str, Any]:
    """Return a Node; ``broken``: capacity where it is not what is allocatable.

    In ``more``: ``arch``, ``os``, ``cpu``, ``memory``; the rest goes into its spec.
    """
    usually = {"arch": "amd64", "os": "linux", "cpu": "64", "memory": "512Gi"}
    arch, os, cpu, memory = (more.pop(name, value) for name, value in usually.items())
    usual = {"hansa.dev/jurisdiction": "EE", "kubernetes.io/arch": arch, "kubernetes.io/os": os}
    plain = {"cpu": cpu, "memory": memory, "pods": "110", "ephemeral-storage": "400Gi"}
    plain |= {"hugepages-1Gi": "0", "hugepages-2Mi": "0"}
    found = [_taint(text) for text in taints]
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": "m", "labels": usual | dict(labels or {})},
        "spec": ({"taints": found} if found else {}) | more,
        "status": {
            "capacity": plain | dict(devices or {}) | dict(broken or {}),
            "allocatable": plain | dict(devices or {}),
            "conditions": [{"type": "Ready", "status": ready}],
            "nodeInfo": {"architecture": arch, "operatingSystem": os},
        },
    }


def _taint(text: str) -> dict[str, str]:
    rest, _, effect = text.partition(":")
    key, _, value = rest.partition("=")
    return {"key": key, "effect": effect} | ({"value": value} if value else {})


def gfd(product: str, memory: str, count: int, **more: str) -> dict[str, str]:
    """Return labels as NVIDIA's discovery writes them; in keywords ``_`` stands for ``-``."""
    labels = {
        "nvidia.com/gpu.present": "true",
        "nvidia.com/gpu.product": product,
        "nvidia.com/gpu.count": str(count),
        "nvidia.com/gpu.replicas": "1",
        "nvidia.com/gpu.sharing-strategy": "none",
        "nvidia.com/mig.capable": "false",
        "nvidia.com/cuda.driver.major": "570",
    }
    if memory:
        labels["nvidia.com/gpu.memory"] = memory
    return labels | {
        f"nvidia.com/gpu.{name.replace('_', '-')}": value for name, value in more.items()
    }


def mig(profile: str, memory: str, count: int, product: str = "NVIDIA-A100-SXM4-80GB"):
    """Return what discovery adds for one profile under the strategy ``mixed``."""
    base = f"nvidia.com/mig-{profile}"
    return {
        f"{base}.product": f"{product}-MIG-{profile}",
        f"{base}.memory": memory,
        f"{base}.count": str(count),
        f"{base}.replicas": "1",
        f"{base}.sharing-strategy": "none",
        "nvidia.com/mig.strategy": "mixed",
    }


def gke(name: str, **more: str) -> dict[str, str]:
    """Return GKE's labels of a machine with GPUs."""
    labels = {"cloud.google.com/gke-nodepool": "gpus", "cloud.google.com/gke-accelerator": name}
    return labels | {f"cloud.google.com/gke-{k.replace('_', '-')}": v for k, v in more.items()}


GPU = "nvidia.com/gpu"
GPUS = {n: {GPU: str(n)} for n in (1, 2, 4, 8, 14)}
A100, A100_80 = "nvidia-a100-sxm4-40gb", "nvidia-a100-sxm4-80gb"
SLICE = f"{A100_80}-mig-1g-10gb"
NOT_TOLD = "memory of {} is unknown: no label nvidia.com/gpu.memory"
NO_PRODUCT = (
    "{} nvidia.com/gpu of an unknown product: no label nvidia.com/gpu.product, nor another that the"
    " table of accelerators has"
)
ARM = "its architecture is arm64, runs are for amd64"

CASES: dict[str, Case] = {
    "no accelerator": Case(node(), {}),
    "bare NVIDIA with discovery, L40S": Case(
        node(gfd("NVIDIA-L40S", "46068", 4), GPUS[4]), {"nvidia-l40s": (4, 46068)}
    ),
    "bare NVIDIA, a GeForce": Case(
        node(gfd("NVIDIA-GeForce-RTX-4090", "24564", 2), GPUS[2]), {"nvidia-rtx-4090": (2, 24564)}
    ),
    "bare NVIDIA, a Tesla, with its taint": Case(
        node(gfd("Tesla-T4", "15360", 1), GPUS[1], taints=("nvidia.com/gpu=present:NoSchedule",)),
        {"nvidia-tesla-t4": (1, 15360)},
    ),
    "DGX H100": Case(
        node(gfd("NVIDIA-H100-80GB-HBM3", "81559", 8), GPUS[8], cpu="224", memory="2Ti"),
        {"nvidia-h100-80gb-hbm3": (8, 81559)},
    ),
    "MIG, strategy single": Case(
        node(
            gfd("NVIDIA-A100-SXM4-80GB-MIG-1g.10gb", "9728", 14)
            | {"nvidia.com/mig.strategy": "single", "nvidia.com/mig.capable": "true"},
            GPUS[14],
        ),
        {SLICE: (14, 9728)},
        slices=frozenset({SLICE}),
    ),
    "MIG, strategy mixed": Case(
        node(
            gfd("NVIDIA-A100-SXM4-80GB", "81920", 2)
            | mig("1g.10gb", "9728", 4)
            | mig("3g.40gb", "40192", 1),
            {GPU: "1", "nvidia.com/mig-1g.10gb": "4", "nvidia.com/mig-3g.40gb": "1"},
        ),
        {A100_80: (1, 81920), SLICE: (4, 9728), f"{A100_80}-mig-3g-40gb": (1, 40192)},
        slices=frozenset({SLICE, f"{A100_80}-mig-3g-40gb"}),
    ),
    "MIG, cards cut unlike each other under single": Case(
        node(gfd("NVIDIA-A100-SXM4-80GB-MIG-INVALID", "0", 0), {GPU: "2"}),
        {},
        says="2 nvidia.com/gpu: NVIDIA-A100-SXM4-80GB-MIG-INVALID (the cards are cut unlike each other)",
    ),
    "MIG and shared": Case(
        node(
            gfd("NVIDIA-A100-SXM4-80GB-MIG-1g.10gb-SHARED", "9728", 7, replicas="2",
                sharing_strategy="time-slicing"), GPUS[14]),
        {f"{SLICE}-shared": (14, 4864)},
        slices=frozenset({f"{SLICE}-shared"}),
    ),
    "time-sliced, four replicas": Case(
        node(gfd("Tesla-T4-SHARED", "15360", 1, replicas="4", sharing_strategy="time-slicing"), GPUS[4]),
        {"nvidia-tesla-t4-shared": (4, 3840)},
        slices=frozenset({"nvidia-tesla-t4-shared"}),
    ),
    "time-sliced, renamed by default": Case(
        node(gfd("Tesla-T4", "15360", 1, replicas="4", sharing_strategy="time-slicing"),
             {"nvidia.com/gpu.shared": "4", GPU: "0"}),
        {"nvidia-tesla-t4-shared": (4, 3840)},
        slices=frozenset({"nvidia-tesla-t4-shared"}),
    ),
    "MPS": Case(
        node(gfd("NVIDIA-L40S-SHARED", "46068", 1, replicas="4", sharing_strategy="mps"), GPUS[4]),
        {"nvidia-l40s-shared": (4, 11517)},
        slices=frozenset({"nvidia-l40s-shared"}),
    ),
    "shared, and not by how many": Case(
        node({GPU + ".product": "Tesla-T4-SHARED", GPU + ".memory": "15360"}, GPUS[4]),
        {"nvidia-tesla-t4-shared": (4, 0)},
        slices=frozenset({"nvidia-tesla-t4-shared"}),
        says="memory of nvidia-tesla-t4-shared is unknown: no label nvidia.com/gpu.replicas",
    ),
    "GB10, unified memory, arm64": Case(
        node(gfd("NVIDIA-GB10", "", 1), GPUS[1], arch="arm64"),
        {"nvidia-gb10": (1, 0)},
        usable=False,
        says=f"{ARM}; {NOT_TOLD.format('nvidia-gb10')}",
    ),
    "GH200, arm64": Case(
        node(gfd("NVIDIA-GH200-480GB", "97871", 1), GPUS[1], arch="arm64"),
        {"nvidia-gh200-480gb": (1, 97871)},
        usable=False,
        says=ARM,
    ),
    "memory in bytes": Case(
        node(gfd("NVIDIA-L40S", str(46068 << 20), 1), GPUS[1]),
        {"nvidia-l40s": (1, 0)},
        says="memory of nvidia-l40s is unknown: nvidia.com/gpu.memory=48305799168 cannot be",
    ),
    "memory 0": Case(
        node(gfd("NVIDIA-L40S", "0", 1), GPUS[1]),
        {"nvidia-l40s": (1, 0)},
        says="memory of nvidia-l40s is unknown: nvidia.com/gpu.memory=0 cannot be",
    ),
    "A100 on GKE": Case(
        node(gke("nvidia-tesla-a100"), GPUS[1], taints=("nvidia.com/gpu=present:NoSchedule",)),
        {"nvidia-tesla-a100": (1, 38146)},
    ),
    "A100 on GKE, cut": Case(
        node(gke("nvidia-tesla-a100", gpu_partition_size="1g.5gb"), {GPU: "7"}),
        {"nvidia-tesla-a100-mig-1g-5gb": (7, 4768)},
        slices=frozenset({"nvidia-tesla-a100-mig-1g-5gb"}),
    ),
    "T4 on GKE, time-sharing": Case(
        node(gke("nvidia-tesla-t4", gpu_sharing_strategy="time-sharing",
                 max_shared_clients_per_gpu="2"), GPUS[2]),
        {"nvidia-tesla-t4-shared": (2, 7629)},
        slices=frozenset({"nvidia-tesla-t4-shared"}),
    ),
    "GKE, a card Google brought out later": Case(
        node(gke("nvidia-x900"), GPUS[1]),
        {"nvidia-x900": (1, 0)},
        says="memory of nvidia-x900 is unknown: no row tells it",
    ),
    "EKS with Karpenter": Case(
        node({"node.kubernetes.io/instance-type": "g4dn.12xlarge",
              "karpenter.k8s.aws/instance-gpu-manufacturer": "nvidia",
              "karpenter.k8s.aws/instance-gpu-name": "t4",
              "karpenter.k8s.aws/instance-gpu-count": "4",
              "karpenter.k8s.aws/instance-gpu-memory": "16384"}, GPUS[4]),
        {"nvidia-t4": (4, 16384)},
    ),
    "EKS, a managed group without discovery": Case(
        node({"node.kubernetes.io/instance-type": "p4d.24xlarge",
              "eks.amazonaws.com/nodegroup": "gpus"}, GPUS[8]),
        {},
        says=NO_PRODUCT.format(8),
    ),
    "EKS, Trainium": Case(
        node({"node.kubernetes.io/instance-type": "trn1.32xlarge"},
             {"aws.amazon.com/neuron": "16", "aws.amazon.com/neuroncore": "32"}),
        {},
        says="aws.amazon.com/neuron is in no row of the table of accelerators;"
        " aws.amazon.com/neuroncore is in no row of the table of accelerators",
    ),
    "AKS, sku=gpu": Case(
        node({"kubernetes.azure.com/accelerator": "nvidia",
              "node.kubernetes.io/instance-type": "Standard_NC24ads_A100_v4"}
             | gfd("NVIDIA-A100-80GB-PCIe", "81920", 1), GPUS[1], taints=("sku=gpu:NoSchedule",)),
        {"nvidia-a100-80gb-pcie": (1, 81920)},
        usable=False,
        says="no run tolerates its taint sku=gpu:NoSchedule",
    ),
    "OpenShift with the GPU Operator": Case(
        node({"node-role.kubernetes.io/worker": "", "node.openshift.io/os_id": "rhel",
              "feature.node.kubernetes.io/pci-10de.present": "true"}
             | gfd("NVIDIA-A100-SXM4-40GB", "40960", 8), GPUS[8]),
        {A100: (8, 40960)},
    ),
    "OpenShift, GPUs handed to virtual machines": Case(
        node({"feature.node.kubernetes.io/pci-10de.present": "true",
              "nvidia.com/gpu.workload.config": "vm-passthrough"},
             {"nvidia.com/GA102GL_A10": "2", "devices.kubevirt.io/kvm": "1k"}),
        {},
        says="nvidia.com/GA102GL_A10 is in no row of the table of accelerators",
    ),
    "AMD MI300X": Case(
        node({"amd.com/gpu.product-name": "AMD_Instinct_MI300X_OAM", "amd.com/gpu.vram": "192G",
              "amd.com/gpu.cu-count": "304"}, {"amd.com/gpu": "8"}),
        {"amd-instinct-mi300x-oam": (8, 183105)},
    ),
    "AMD without its labeller": Case(
        node({}, {"amd.com/gpu": "8"}),
        {},
        says="8 amd.com/gpu of an unknown product: no label amd.com/gpu.product-name,"
        " nor another that the table of accelerators has",
    ),
    "Intel Max": Case(
        node({"gpu.intel.com/product": "Max_1100"},
             {"gpu.intel.com/i915": "4", "gpu.intel.com/i915_monitoring": "1"}),
        {"intel-max-1100": (4, 0)},
        says="memory of intel-max-1100 is unknown: no row tells it",
    ),
    "Intel, the xe driver": Case(
        node({"gpu.intel.com/product": "Flex_170"}, {"gpu.intel.com/xe": "2"}),
        {"intel-flex-170": (2, 0)},
        says="memory of intel-flex-170 is unknown: no row tells it",
    ),
    "RKE2 with the runtime class nvidia": Case(
        node({"node.kubernetes.io/instance-type": "rke2"} | gfd("NVIDIA-A40", "46068", 2), GPUS[2]),
        {"nvidia-a40": (2, 46068)},
    ),
    "a control plane": Case(
        node(taints=("node-role.kubernetes.io/control-plane:NoSchedule",)), {}, usable=False
    ),
    "a dedicated machine": Case(
        node(gfd("NVIDIA-L40S", "46068", 1), GPUS[1], taints=("dedicated=gpu:NoSchedule",)),
        {"nvidia-l40s": (1, 46068)},
        usable=False,
        says="no run tolerates its taint dedicated=gpu:NoSchedule",
    ),
    "cordoned": Case(
        node(gfd("NVIDIA-L40S", "46068", 1), GPUS[1], unschedulable=True,
             taints=("node.kubernetes.io/unschedulable:NoSchedule",)),
        {"nvidia-l40s": (1, 46068)},
        usable=False,
    ),
    "not Ready": Case(
        node(gfd("NVIDIA-L40S", "46068", 1), GPUS[1], ready="Unknown"),
        {"nvidia-l40s": (1, 46068)},
        usable=False,
    ),
    "half-broken: one card of eight is gone": Case(
        node(gfd("NVIDIA-L40S", "46068", 8), {GPU: "7"}, broken={GPU: "8"}),
        {"nvidia-l40s": (7, 46068)},
        says="1 of 8 nvidia.com/gpu are not allocatable",
    ),
    "half-broken: no device plugin": Case(
        node(gfd("NVIDIA-L40S", "46068", 8)),
        {},
        says="label nvidia.com/gpu.present tells of a card, but no device plugin offers it",
    ),
    "half-broken: a device plugin without discovery": Case(
        node({}, GPUS[8]), {}, says=NO_PRODUCT.format(8)
    ),
    "Windows": Case(
        node(os="windows"), {}, usable=False, says="its system is windows, runs need linux"
    ),
    "a quarter by another vendor's plugin": Case(
        node({}, {"volcano.sh/vgpu-number": "10", "rdma/hca_shared_devices": "63"}),
        {},
        says="volcano.sh/vgpu-number is in no row of the table of accelerators",
    ),
}  # fmt: skip
