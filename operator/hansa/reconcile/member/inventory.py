"""What a member's cluster has to lend, from its Node objects: classes, shapes, places.

The mapping from a machine's label to a GPU class is written here and nowhere else.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hansa.api.memberpolicy import MemberPolicySpec
from hansa.api.meta import JURISDICTION_LABEL, GpuInventory, MachineShape
from hansa.grants.judgement import GpuStock
from hansa.model.quantities import units

PRODUCT_LABEL = "nvidia.com/gpu.product"
MEMORY_LABEL = "nvidia.com/gpu.memory"
"""MiB of one GPU, as NVIDIA's feature discovery writes it."""
GPU = "nvidia.com/gpu"
BRAND = "geforce"
BARRING_EFFECTS = frozenset({"NoSchedule", "NoExecute"})
MAX_GPUS_PER_MACHINE = 64
MAX_SHAPES = 128


def gpu_class(product: str) -> str:
    """Return the GPU class of a product label: lower case, dashes, without the brand of a series.

    >>> gpu_class("NVIDIA-GeForce-RTX-4090"), gpu_class("NVIDIA L40S")
    ('nvidia-rtx-4090', 'nvidia-l40s')
    """
    words = re.findall(r"[a-z0-9]+", product.lower())
    return "-".join(word for word in words if word != BRAND)[:63].strip("-")


@dataclass(frozen=True, slots=True)
class Machine:
    """One Kubernetes Node, reduced to what placing needs."""

    name: str
    jurisdiction: str
    product: str
    gpus: int
    gpu_memory_bytes: int
    cpu: str
    memory: str
    usable: bool
    disk_pressure: bool

    @property
    def gpu_class(self) -> str:
        """Class of its GPUs; empty when it has none."""
        return gpu_class(self.product) if self.gpus else ""


@dataclass(frozen=True, slots=True)
class Inventory:
    """What is lent, under one policy."""

    machines: tuple[Machine, ...] = ()
    stock: Mapping[str, GpuStock] = field(default_factory=dict)
    full_disks: tuple[str, ...] = ()
    """Machines under disk pressure, when no usable one is left without it."""
    busy: Mapping[str, int] = field(default_factory=dict)
    """GPU class → GPUs that jobs keep busy; classes whose cards do not tell are missing."""

    def products(self, wanted: str) -> tuple[str, ...]:
        """Return the product labels that stand for a GPU class here."""
        return tuple(sorted({m.product for m in self.machines if m.gpu_class == wanted}))

    def jurisdictions(self) -> tuple[str, ...]:
        """Return the places its machines are labelled with."""
        return tuple(sorted({machine.jurisdiction for machine in self.machines}))


def read_machine(node: Mapping[str, Any]) -> Machine:
    """Return a machine from a Node object; what cannot be read counts as absent."""
    labels = node["metadata"].get("labels") or {}
    status, spec = node.get("status") or {}, node.get("spec") or {}
    allocatable = status.get("allocatable") or {}
    conditions = {c.get("type"): c.get("status") for c in status.get("conditions") or ()}
    product = str(labels.get(PRODUCT_LABEL, ""))
    gpus = min(_count(allocatable.get(GPU)), MAX_GPUS_PER_MACHINE) if product else 0
    return Machine(
        name=node["metadata"]["name"],
        jurisdiction=str(labels.get(JURISDICTION_LABEL, "")),
        product=product,
        gpus=gpus,
        gpu_memory_bytes=_count(labels.get(MEMORY_LABEL)) << 20,
        cpu=_quantity(allocatable.get("cpu")),
        memory=_quantity(allocatable.get("memory")),
        usable=conditions.get("Ready") == "True" and not _barred(spec),
        disk_pressure=conditions.get("DiskPressure") == "True",
    )


def take_stock(
    machines: Iterable[Machine], policy: MemberPolicySpec, held: Mapping[str, int]
) -> Inventory:
    """Return what ``policy`` lends of ``machines``; ``held``: GPUs of each class that jobs hold.

    Only usable machines that carry a jurisdiction label inside the policy's jurisdiction count.
    """
    here = [m for m in machines if m.usable and _inside(m.jurisdiction, policy.jurisdiction)]
    fit = tuple(m for m in here if not m.disk_pressure)
    lent = {rule.gpu_class: rule.max_gpus for rule in policy.lending}
    found = Counter[str]()
    memory: dict[str, int] = {}
    for machine in fit:
        name = machine.gpu_class
        if name:
            found[name] += machine.gpus
            # The smallest card decides: a gang may land on any of them.
            memory[name] = min(memory.get(name, 1 << 62), machine.gpu_memory_bytes)
    stock = {
        name: GpuStock(min(count, lent.get(name, count)), memory[name], held.get(name, 0))
        for name, count in sorted(found.items())
    }
    full = tuple(sorted(m.name for m in here)) if here and not fit else ()
    return Inventory(fit, stock, full)


def gpu_inventory(inventory: Inventory) -> tuple[GpuInventory, ...]:
    """Return the inventory as ``SovereignNode.status`` states it."""
    return tuple(
        GpuInventory(
            gpu_class=name,
            memory=f"{gpus.memory_bytes >> 20}Mi",
            total=gpus.lent,
            allocated=min(gpus.held, gpus.lent),
            busy=inventory.busy.get(name),
        )
        for name, gpus in inventory.stock.items()
    )


def machine_shapes(inventory: Inventory) -> tuple[MachineShape, ...]:
    """Return the histogram of machines, most frequent first.

    A class has one size of card here too, its smallest: the hub must not count on what would be refused.
    """
    cards = {name: f"{gpus.memory_bytes >> 20}Mi" for name, gpus in inventory.stock.items()}
    shapes = Counter(
        (m.gpu_class, m.gpus, cards[m.gpu_class] if m.gpus else "0", m.cpu, m.memory)
        for m in inventory.machines
    )
    return tuple(
        MachineShape(
            machines=count, gpu_class=name, gpus=gpus, gpu_memory=card, cpu=cpu, memory=memory
        )
        for (name, gpus, card, cpu, memory), count in sorted(
            shapes.items(), key=lambda row: (-row[1], row[0])
        )[:MAX_SHAPES]
    )


def _inside(place: str, jurisdiction: str) -> bool:
    return place == jurisdiction or place.startswith(f"{jurisdiction}-")


TOLERABLE = frozenset({GPU, "node.kubernetes.io/disk-pressure"})
"""Taints that bar no machine: jobs tolerate the first; the second comes with its condition, which
is looked at by itself, so that a full disk is called a full disk."""


def _barred(spec: Mapping[str, Any]) -> bool:
    taints = spec.get("taints") or ()
    return bool(spec.get("unschedulable")) or any(
        taint.get("effect") in BARRING_EFFECTS and taint.get("key") not in TOLERABLE
        for taint in taints
    )


def _count(value: object) -> int:
    try:
        return max(0, units(str(value)))
    except ValueError:
        return 0


def _quantity(value: object) -> str:
    try:
        units(str(value))
    except ValueError:
        return "0"
    return str(value)
