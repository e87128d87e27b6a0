"""The table of accelerators: what a resource of a machine is called, how large it is, who may use it.

A row says under which labels a platform tells the product and the memory of one card. Several rows
may read one resource: the first whose class is told counts. A member's own rows (settings) go first.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

BRAND = "geforce"
MOST_NAME = 63
NOTHING: Mapping[str, str] = MappingProxyType({})


def gpu_class(product: str, vendor: str = "nvidia") -> str:
    """Return the GPU class of a product: its maker first, lower case, dashes, no brand of a series.

    >>> gpu_class("NVIDIA-GeForce-RTX-4090"), gpu_class("Tesla-T4"), gpu_class("Max_1100", "intel")
    ('nvidia-rtx-4090', 'nvidia-tesla-t4', 'intel-max-1100')
    """
    words = [word for word in re.findall(r"[a-z0-9]+", product.lower()) if word != BRAND]
    if not words:
        return ""
    made_by = [] if words[0] == vendor or not vendor else [vendor]
    return "-".join(made_by + words)[:MOST_NAME].strip("-")


@dataclass(frozen=True, slots=True)
class Accelerator:
    """One row. ``{base}`` in a label stands for the resource without ``.shared``."""

    resource: str
    """Extended resource; one that ends with ``*`` stands for all that begin so."""
    vendor: str = ""
    gpu_class: str = ""
    """Class of every such card; empty: by ``class_label``."""
    class_label: str = ""
    memory: str = ""
    """Memory of one card, as a quantity; empty: by ``memory_label``."""
    memory_label: str = ""
    memory_unit: str = "Mi"
    """Unit of a memory label that is a bare number."""
    memory_by_product: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    replicas_label: str = ""
    strategy_label: str = ""
    partition_label: str = ""
    """Labels of sharing that the product does not show; pods then choose by them, too."""
    whole: str = ""
    """How values of ``partition_label`` begin that stand for a whole card."""
    count_label: str = ""
    """How many cards discovery counted: where a plugin offers more, each of them is a share."""
    taint: str = ""
    """Key of the taint that such machines carry and pods with GPUs tolerate; empty: none."""
    environment: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    """Variables of the containers that hold such cards."""

    def matches(self, resource: str) -> bool:
        """Tell whether the row reads a resource."""
        if self.resource.endswith("*"):
            return resource.startswith(self.resource[:-1])
        return resource == self.resource


NVIDIA_TAINT = "nvidia.com/gpu"
_GKE = "cloud.google.com/gke-"
_GKE_MEMORY = MappingProxyType(
    {
        "nvidia-tesla-t4": "16G",
        "nvidia-tesla-p4": "8G",
        "nvidia-tesla-p100": "16G",
        "nvidia-tesla-v100": "16G",
        "nvidia-tesla-a100": "40G",
        "nvidia-a100-80gb": "80G",
        "nvidia-l4": "24G",
        "nvidia-h100-80gb": "80G",
        "nvidia-h100-mega-80gb": "80G",
        "nvidia-h200-141gb": "141G",
        "nvidia-b200": "180G",
        "nvidia-rtx-pro-6000": "96G",
    }
)
"""As Google states it; decimal, which is never more than there is."""


def _nvidia(resource: str, base: str = "{base}") -> Accelerator:
    return Accelerator(
        resource,
        vendor="nvidia",
        class_label=f"{base}.product",
        memory_label=f"{base}.memory",
        replicas_label=f"{base}.replicas",
        strategy_label=f"{base}.sharing-strategy",
        count_label=f"{base}.count",
        taint=NVIDIA_TAINT,
    )


def _cloud(class_label: str, memory_label: str = "") -> Accelerator:
    """Return the row of a cloud that labels its machines by what they were bought with."""
    return Accelerator(
        "nvidia.com/gpu",
        vendor="nvidia",
        class_label=class_label,
        memory_label=memory_label,
        count_label=re.sub(r"-(name|model)$", "-count", class_label),
        taint=NVIDIA_TAINT,
    )


def _intel(resource: str) -> Accelerator:
    return Accelerator(
        resource,
        vendor="intel",
        class_label="gpu.intel.com/product",
        count_label="gpu.intel.com/device.count",
        taint=resource,
    )


BUILT_IN: tuple[Accelerator, ...] = (
    _nvidia("nvidia.com/gpu"),
    _nvidia("nvidia.com/gpu.shared"),
    _nvidia("nvidia.com/mig-*"),
    Accelerator(
        "nvidia.com/gpu",
        vendor="nvidia",
        class_label=f"{_GKE}accelerator",
        memory_by_product=_GKE_MEMORY,
        replicas_label=f"{_GKE}max-shared-clients-per-gpu",
        strategy_label=f"{_GKE}gpu-sharing-strategy",
        partition_label=f"{_GKE}gpu-partition-size",
        taint=NVIDIA_TAINT,
    ),
    _cloud("karpenter.k8s.aws/instance-gpu-name", "karpenter.k8s.aws/instance-gpu-memory"),
    _cloud("eks.amazonaws.com/instance-gpu-name", "eks.amazonaws.com/instance-gpu-memory"),
    _cloud("karpenter.azure.com/sku-gpu-name"),
    _cloud("doks.digitalocean.com/gpu-model"),
    Accelerator(
        "amd.com/gpu",
        vendor="amd",
        class_label="amd.com/gpu.product-name",
        memory_label="amd.com/gpu.vram",
        partition_label="amd.com/compute-memory-partition",
        whole="spx_",
        taint="amd.com/gpu",
    ),
    Accelerator(
        "amd.com/gpu",
        vendor="amd",
        class_label="doks.digitalocean.com/gpu-model",
        taint="amd.com/gpu",
    ),
    _intel("gpu.intel.com/i915"),
    _intel("gpu.intel.com/xe"),
)
"""From the documentation of NVIDIA's, AMD's and Intel's operators, of GKE, EKS, AKS, DigitalOcean and Karpenter."""

COMPANIONS = re.compile(
    r"gpu\.intel\.com/(monitoring|i915_monitoring|xe_monitoring|millicores|memory\.max|tiles)"
    r"|nvidia\.com/(hostdev|.*(rdma|roce|sriov|nic|_vf|_sf).*)"
)
"""Resources beside a card that are no card, network cards among them."""
LOOKS_LIKE = re.compile(
    r"^(nvidia|amd|gpu\.intel|habana|huawei|cambricon|furiosa|rebellions|tenstorrent|graphcore|cerebras"
    r"|sambanova|d-matrix|hailo|groq|untether|enflame|hygon|iluvatar|metax-tech|mthreads|kunlunxin"
    r"|sophgo|deepx|axelera|etched|vastaitech)\.[a-z]+/"
    r"|[gxntdvilp]pu(?!t)|[gdr]cu|mlu|rdu|vcuda|qaic|spyre|aiu|neuron|gaudi|ascend|accelerator|fpga",
    re.IGNORECASE,
)
"""Names of extended resources that may be accelerators. Better one told too many than a silent one."""


def is_unknown_accelerator(resource: str, table: tuple[Accelerator, ...]) -> bool:
    """Tell whether a resource looks like an accelerator that no row reads."""
    return (
        "/" in resource
        and bool(LOOKS_LIKE.search(resource))
        and not COMPANIONS.fullmatch(resource)
        and not any(row.matches(resource) for row in table)
    )
