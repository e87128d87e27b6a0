"""What to bring up: sites, their place in the league and the hardware they declare."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

HUB = "hub"


@dataclass(frozen=True, slots=True)
class Gpus:
    """GPUs a machine declares. None are present: they are an extended resource and labels."""

    product: str
    """As GPU feature discovery writes it, such as ``NVIDIA-GeForce-RTX-4090``."""
    memory_mib: int
    count: int


@dataclass(frozen=True, slots=True)
class SiteSpec:
    """One cluster: the hub or a member."""

    name: str
    jurisdiction: str = ""
    gpus: Gpus | None = None
    machines: int = 1
    labels: Mapping[str, str] = field(default_factory=dict)
    abroad: str = ""
    """Jurisdiction of one more machine, which KWOK plays: the scheduler may bind there, nothing runs there."""
    kuberay: bool = False
    cpus: int = 4
    """CPUs a simulated machine claims; a local one shows the host's."""
    memory_gib: int = 32

    @property
    def is_hub(self) -> bool:
        """Return whether this site is the league's hub."""
        return self.name == HUB

    def node_labels(self) -> dict[str, str]:
        """Return the labels of this site's machines."""
        labels = dict(self.labels)
        if self.jurisdiction:
            labels["hansa.dev/jurisdiction"] = self.jurisdiction
            labels["topology.kubernetes.io/region"] = self.jurisdiction
        if self.gpus:
            labels["nvidia.com/gpu.product"] = self.gpus.product
            labels["nvidia.com/gpu.memory"] = str(self.gpus.memory_mib)
            labels["nvidia.com/gpu.count"] = str(self.gpus.count)
        return labels


LEAGUE = (
    SiteSpec(HUB),
    SiteSpec("tartu", "EE", Gpus("NVIDIA-GeForce-RTX-4090", 24564, 4), kuberay=True, abroad="FI"),
    SiteSpec("riga", "LV", Gpus("NVIDIA-GeForce-RTX-3090", 24576, 4), kuberay=True),
    SiteSpec("lisbon", "PT", Gpus("NVIDIA-L40S", 46068, 4), kuberay=True),
)
"""The demo's league: three institutions and a hub."""
