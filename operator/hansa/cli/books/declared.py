"""What nodes declare of prices and power, as this user may read it on the hub."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from hansa.accounting.quote import CarbonFactor
from hansa.accounting.tariff import Tariff
from hansa.api.kinds import SOVEREIGNNODE
from hansa.api.sovereignnode import SovereignNodeSpec
from hansa.model.quantities import units
from hansa.ports import Cluster, Manifest
from hansa.reconcile.hub.charging.tariffs import tariff_of


@dataclass(frozen=True, slots=True)
class Declared:
    """One node."""

    name: str
    tariff: Tariff
    factor: CarbonFactor | None
    watts: Mapping[str, int]
    """GPU class → what one GPU draws."""
    memory: Mapping[str, int]
    """GPU class → bytes of one GPU, where the node has told its classes; 0: not known."""


async def declared(cluster: Cluster) -> list[Declared]:
    """Return what accepted nodes declare; one that cannot be read declares nothing."""
    things = (await cluster.list(SOVEREIGNNODE.path())).items
    return [node for node in map(read_node, things) if node is not None]


def read_node(thing: Manifest) -> Declared | None:
    """Return what a node declares; None where it is not accepted, or cannot be read."""
    name = thing["metadata"]["name"]
    try:
        spec = SovereignNodeSpec.model_validate(thing.get("spec") or {})
    except ValidationError:
        return None
    if spec.accepted != "Accepted":
        return None
    said = spec.carbon
    factor = CarbonFactor(said.grams_per_kwh, said.as_of, said.source) if said else None
    watts = {price.gpu_class: price.watts for price in spec.prices if price.watts}
    return Declared(name, tariff_of(name, spec), factor, watts, _memory(thing))


def _memory(thing: Manifest) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in (thing.get("status") or {}).get("inventory") or ():
        with contextlib.suppress(KeyError, TypeError, ValueError):
            found[str(row["gpuClass"])] = units(str(row.get("memory", "0")))
    return found
