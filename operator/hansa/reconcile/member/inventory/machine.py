"""One Kubernetes Node, reduced to what placing needs; a Node object may say anything."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from hansa.api.meta import GROUP, JURISDICTION_LABEL, QUANTITY
from hansa.model.quantities import millis, units
from hansa.ports import Manifest
from hansa.reconcile.member.inventory import requests, taints
from hansa.reconcile.member.inventory.accelerators import BUILT_IN, Accelerator
from hansa.reconcile.member.inventory.cards import MOST_CARDS, Cards, count, read_cards
from hansa.reconcile.member.inventory.lost_machines import is_ready
from hansa.reconcile.member.inventory.taints import Toleration

NVIDIA_CARD, NVIDIA_COUNT_LABEL = "nvidia.com/gpu", "nvidia.com/gpu.count"
EXPECTED_GPUS_LABEL = f"{GROUP}/expected-gpus"
"""How many of NVIDIA's cards were built into a machine, whatever it shows of them."""
ARCHITECTURE_LABEL, SYSTEM_LABEL = "kubernetes.io/arch", "kubernetes.io/os"
VIRTUAL = frozenset(
    {
        ("type", "virtual-kubelet"),
        ("type", "kwok"),
        ("liqo.io/type", "virtual-node"),
        ("eks.amazonaws.com/compute-type", "fargate"),
    }
)
"""Labels of Nodes behind which there is no machine of this cluster."""
NO_PLACE = VIRTUAL | {(SYSTEM_LABEL, "windows")}
"""Labels of Nodes to which no pod of a run goes, whatever else they say."""
PODS_OF_A_RUN = 3
"""Head, submitter and a worker: a machine with fewer pods left takes no run."""
MOST_CPUS, MOST_MEMORY, LONGEST = 1 << 20, 1 << 50, 20
"""Beyond them a Node says nothing true; and how long a quantity may be that the hub is sent."""
CPU_GRAIN_MILLIS, MEMORY_GRAIN = 500, 1 << 30
"""What is left beside others is rounded down so far: else each machine is a kind of its own."""


@dataclass(frozen=True)
class MachineRules:
    """How the member reads its machines, and what pods of runs tolerate: its settings."""

    architecture: str = "amd64"
    """The one of the machines that take runs."""
    more_accelerators: tuple[Accelerator, ...] = ()
    more_tolerations: tuple[Toleration, ...] = ()
    node_selector: Mapping[str, str] = field(default_factory=dict)
    """Labels that pods of runs choose machines by."""

    @cached_property
    def accelerators(self) -> tuple[Accelerator, ...]:
        """The table; the member's own rows first."""
        return self.more_accelerators + BUILT_IN

    @cached_property
    def tolerations(self) -> tuple[Toleration, ...]:
        """What pods of runs tolerate: taints of accelerators, and the member's own."""
        rows = (Toleration(row.taint) for row in self.accelerators if row.taint)
        return tuple(dict.fromkeys((*rows, *self.more_tolerations)))


@dataclass(frozen=True, slots=True)
class Machine:
    """One machine."""

    name: str
    jurisdiction: str
    cards: tuple[Cards, ...]
    cpu: str
    memory: str
    barred: str = ""
    """Why it takes no run at all; empty: it does."""
    is_expected: bool = False
    """Whether ``barred`` is a usual state, or meant so."""
    disk_pressure: bool = False
    troubles: tuple[str, ...] = field(default=())
    """What was not understood, a sentence each."""
    most_pods: int = 0
    """How many pods it takes; 0: it does not say."""
    nvidia_cards: int = 0
    """Cards that its driver should show, whole or cut; 0: none, or it does not say."""
    nvidia_offered: int = 0
    """NVIDIA's cards, or slices of them, that pods can ask for there now."""

    @property
    def usable(self) -> bool:
        """Whether runs may be scheduled to it."""
        return not self.barred


def read_machine(node: Mapping[str, Any], rules: MachineRules | None = None) -> Machine:
    """Return a machine from a Node object; what cannot be read counts as absent."""
    rules = rules or MachineRules()
    labels = node["metadata"].get("labels") or {}
    status, spec = node.get("status") or {}, node.get("spec") or {}
    allocatable = status.get("allocatable") or {}
    conditions = {c.get("type"): c.get("status") for c in status.get("conditions") or ()}
    found = read_cards(node, rules.accelerators)
    state = "" if is_ready(node) else "not Ready"
    state = state or ("cordoned" if spec.get("unschedulable") else "")
    state = state or _passed_over(labels, rules.node_selector)
    keys = taints.untolerated(spec.get("taints") or (), rules.tolerations)
    tainted = f"no run tolerates its taint {', '.join(keys)}" if keys else ""
    is_meant = bool(state) or any(map(taints.is_expected, keys))
    return Machine(
        name=node["metadata"]["name"],
        jurisdiction=str(labels.get(JURISDICTION_LABEL, "")),
        cards=found.cards,
        cpu=_written(allocatable.get("cpu"), MOST_CPUS, lambda q: f"{millis(q)}m"),
        memory=_written(allocatable.get("memory"), MOST_MEMORY, lambda q: f"{units(q) >> 20}Mi"),
        barred=state or tainted or _foreign(labels, rules.architecture),
        is_expected=is_meant,
        disk_pressure=conditions.get("DiskPressure") == "True",
        troubles=(*found.troubles, *_unread(allocatable)),
        most_pods=units(_quantity(allocatable.get("pods"))),
        nvidia_cards=_nvidia_cards(labels, status.get("capacity") or {}, found.cards),
        nvidia_offered=sum(
            count(allocatable[name])
            for name in allocatable
            if any(row.vendor == "nvidia" and row.matches(name) for row in rules.accelerators)
        ),
    )


def _nvidia_cards(
    labels: Mapping[str, Any], capacity: Mapping[str, Any], cards: tuple[Cards, ...]
) -> int:
    """Return what its people expect, else what discovery counted or, where nothing is cut or shared, the plugin offers.

    Discovery counts what is there: of a card that was gone when it looked it knows nothing.
    """
    counted = count(labels.get(EXPECTED_GPUS_LABEL)) or count(labels.get(NVIDIA_COUNT_LABEL))
    if counted or any(one.is_slice for one in cards):
        return min(counted, MOST_CARDS)
    return min(count(capacity.get(NVIDIA_CARD)), MOST_CARDS)


def _passed_over(labels: Mapping[str, Any], selector: Mapping[str, str]) -> str:
    """Return which labels that runs choose machines by are missing."""
    missing = [f"{key}={value}" for key, value in selector.items() if labels.get(key) != value]
    return f"runs choose machines labelled {', '.join(missing)}" if missing else ""


def _foreign(labels: Mapping[str, Any], architecture: str) -> str:
    """Return why images of runs do not run there."""
    stands_for = VIRTUAL & {(key, str(labels.get(key))) for key, _ in VIRTUAL}
    if stands_for:
        key, value = min(stands_for)
        return f"it stands for machines elsewhere ({key}={value}), where no run is sent"
    system, made_for = labels.get(SYSTEM_LABEL, "linux"), labels.get(ARCHITECTURE_LABEL)
    if system != "linux":
        return f"its system is {system}, runs need linux"
    if made_for != architecture:
        said = f"its architecture is {made_for}" if made_for else f"no label {ARCHITECTURE_LABEL}"
        return f"{said}, runs are for {architecture}"
    return ""


def kept_off() -> list[Manifest]:
    """Return, as requirements of a node affinity, that pods go to no Node that is no place for runs."""
    return [{"key": key, "operator": "NotIn", "values": [value]} for key, value in sorted(NO_PLACE)]


def beside(machine: Machine, held: requests.Held) -> Machine:
    """Return a machine less what others' pods hold of it."""
    pods = held.get(requests.PODS, 0) // 1000
    if machine.most_pods and machine.most_pods - pods < PODS_OF_A_RUN:
        full = f"{pods} of {machine.most_pods} pods are there: no room for a run's"
        return replace(machine, barred=machine.barred or full)
    cpu = max(0, millis(machine.cpu) - held.get(requests.CPU, 0))
    memory = max(0, units(machine.memory) - -(-held.get(requests.MEMORY, 0) // 1000))
    return replace(
        machine,
        cpu=f"{cpu // CPU_GRAIN_MILLIS * CPU_GRAIN_MILLIS}m",
        memory=f"{memory // MEMORY_GRAIN}Gi",
        cards=tuple(
            replace(cards, count=max(0, cards.count - -(-held.get(cards.resource, 0) // 1000)))
            for cards in machine.cards
        ),
    )


def _unread(allocatable: Mapping[str, Any]) -> list[str]:
    """Tell of a processor or memory that is counted as none."""
    limits = {"cpu": MOST_CPUS, "memory": MOST_MEMORY}
    return [
        f"its {name} {allocatable[name]} cannot be: it counts as none"
        for name, most in limits.items()
        if name in allocatable and not 0 < count(allocatable[name]) <= most
    ]


def _written(value: object, most: int, write: Callable[[str], str]) -> str:
    """Return a quantity as the hub takes it; what cannot be is 0."""
    text = _quantity(value)
    if count(text) > most:
        return "0"
    return text if re.fullmatch(QUANTITY, text) and len(text) <= LONGEST else write(text)


def _quantity(value: object) -> str:
    try:
        units(str(value))
    except ValueError:
        return "0"
    return str(value)
