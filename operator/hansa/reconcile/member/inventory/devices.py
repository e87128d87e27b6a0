"""Cards that only a DRA driver offers, read from its ResourceSlices: named, because runs cannot have them.

A run asks for extended resources, which a device plugin offers. A machine whose cards are to be had by a claim
alone (resource.k8s.io/v1) lends none of them, and must not look like one without cards.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from hansa.reconcile.member.inventory.accelerators import LOOKS_LIKE, gpu_class
from hansa.reconcile.member.inventory.cards import UNOFFERED
from hansa.reconcile.member.inventory.machine import Machine

SLICES = "/apis/resource.k8s.io/v1/resourceslices"
_GPU_DRIVER = "gpu."
"""How most names of drivers of cards begin (gpu.nvidia.com, gpu.amd.com, gpu.intel.com); others name their kind:
tpu.google.com, gaudi.intel.com, neuron.aws.com."""
_PRODUCT = ("productName", "model")
_WHOLE = frozenset({"", "gpu", "amdgpu"})
"""Of ``type``: partitions of a card stand beside the card itself, and would count it twice."""


@dataclass(frozen=True, slots=True, order=True)
class Devices:
    """Cards of one class that one driver offers in a machine."""

    driver: str
    gpu_class: str
    """Empty: the driver does not tell the product."""
    count: int
    """0: partitions alone, of which each stands there in every size that it could have."""

    def __str__(self) -> str:
        """Return it for a person."""
        if not self.count:
            return f"partitions of cards ({self.driver})"
        return f"{self.count} {self.gpu_class or 'cards of an unknown product'} ({self.driver})"


def read_devices(slices: Iterable[Mapping[str, Any]]) -> dict[str, tuple[Devices, ...]]:
    """Return machine → cards of it that DRA drivers offer; only the latest generation of a pool counts."""
    pools: defaultdict[tuple[str, str], dict[int, list[Mapping[str, Any]]]] = defaultdict(dict)
    for one in slices:
        spec = _map(one.get("spec"))
        driver, pool = str(spec.get("driver") or ""), _map(spec.get("pool"))
        if LOOKS_LIKE.search(driver):
            generation = pool.get("generation")
            known = pools[driver, str(pool.get("name"))]
            known.setdefault(generation if isinstance(generation, int) else 0, []).append(spec)
    found: defaultdict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
    for (driver, _), generations in pools.items():
        for spec in generations[max(generations)]:
            for machine, product in _cards(spec):
                maker = driver.removeprefix(_GPU_DRIVER).partition(".")[0]
                found[machine][driver, gpu_class(product, maker)] += 1
            for machine in _machines(spec):
                found[machine][driver, ""] += 0
    return {machine: tuple(_counted(counts)) for machine, counts in found.items()}


def _counted(counts: Mapping[tuple[str, str], int]) -> list[Devices]:
    """Return cards, and partitions alone where a driver offers no whole card."""
    whole = {driver for (driver, _), count in counts.items() if count}
    rows = [Devices(*key, count) for key, count in counts.items() if count or key[0] not in whole]
    return sorted(rows)


def with_devices(machine: Machine, devices: Iterable[Devices]) -> Machine:
    """Return a machine that tells of cards which only a claim gets; where a plugin offers cards, nothing more."""
    offered = list(map(str, devices))
    if machine.cards or not offered:
        return machine
    said = [text for text in machine.troubles if not text.endswith(UNOFFERED)]
    told = (
        f"{', '.join(offered)} are offered by claim only (DRA), which no run makes: have a device"
        " plugin offer them, and they are lent"
    )
    return replace(machine, troubles=(*said, told))


def _cards(spec: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield machine and product of each whole card."""
    for device in spec.get("devices") or ():
        # A name without a domain is of the driver's own; with it, it says the same.
        named = _map(_map(device).get("attributes")).items()
        told = {str(name).rpartition("/")[2]: value for name, value in named}
        machine = _map(device).get("nodeName") or spec.get("nodeName")
        if machine and _text(told.get("type")).lower() in _WHOLE:
            yield str(machine), next(filter(None, (_text(told.get(one)) for one in _PRODUCT)), "")


def _machines(spec: Mapping[str, Any]) -> set[str]:
    """Return the machines of which a slice tells any device."""
    named = (
        _map(device).get("nodeName") or spec.get("nodeName") for device in spec.get("devices") or ()
    )
    return {str(machine) for machine in named if machine}


def _map(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(attribute: object) -> str:
    return str(_map(attribute).get("string") or "")
