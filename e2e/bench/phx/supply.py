"""The supply half of PHX: openb machines dealt into the sites of a made-up league.

Machines are real (openb); which site, operator, country, law and price they belong to is synthetic.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from e2e.bench.phx.traces import Ints, NodeKind, read_supply
from hansa.model.reasons import Reason
from hansa.model.snapshot import Machines, Site

Floats = npt.NDArray[np.float64]

BLOCS: Mapping[str, tuple[str, ...]] = {
    "EU": ("AT", "BE", "BG", "CZ", "EE", "ES", "FR", "GR", "HR", "HU", "IE", "IT", "LT", "LV", "NL", "PT", "SI"),
    "Nordic": ("DK", "FI", "IS", "NO", "SE"),
    "AfricanUnion": ("BW", "CI", "EG", "ET", "GH", "KE", "MA", "MU", "NA", "NG", "RW", "SN", "TN", "ZA"),
    "ASEAN": ("BN", "ID", "KH", "LA", "MM", "MY", "PH", "SG", "TH", "VN"),
    "CARICOM": ("AG", "BS", "BZ", "DM", "GD", "GY", "JM", "KN", "TT"),
    "Mercosur": ("AR", "BO", "BR", "PY", "UY"),
}  # fmt: skip
"""Sixty countries, each under the bloc its jobs name."""
COUNTRIES = tuple(sorted(country for bloc in BLOCS.values() for country in bloc))
BLOC_OF = {country: bloc for bloc, members in BLOCS.items() for country in members}
OPERATORS = 40
RACK_MACHINES = 4
FOREIGN_PARENT_SHARE = 0.15
UNAVAILABLE_SHARE = 0.02
ASSURANCE_ODDS = (0.3, 0.5, 0.2)
"""Odds of assurance levels L0, L1, L2."""
PRICE_SIGMA = 0.25


@dataclass(frozen=True, slots=True)
class GpuKind:
    """A GPU class of the made-up league."""

    name: str
    memory_gib: int
    hour_price_micros: int


GPU_KINDS: Mapping[str, GpuKind] = {
    "T4": GpuKind("nvidia-t4", 16, 350_000),
    "A10": GpuKind("nvidia-t4", 16, 350_000),
    "P100": GpuKind("nvidia-p100", 16, 500_000),
    "V100M16": GpuKind("nvidia-v100-16gb", 16, 900_000),
    "V100M32": GpuKind("nvidia-v100-32gb", 32, 1_200_000),
    "G2": GpuKind("undisclosed-g2", 32, 1_500_000),
    "G3": GpuKind("undisclosed-g3", 80, 2_600_000),
}
"""openb model → class. Six classes: its two A10 count as T4; G2 and G3 are anonymous there."""


def build_sites(
    rng: np.random.Generator, *, gpus: int, weights: Sequence[float], cordons: bool
) -> tuple[Site, ...]:
    """Deal about ``gpus`` GPUs into one site a weight, sizes in proportion to the weights."""
    dealt = _deal(rng, gpus, np.asarray(weights, float))
    countries = _countries(rng, len(dealt))
    operators = rng.choice(OPERATORS, size=len(dealt), p=zipf(OPERATORS))
    parents = rng.choice(COUNTRIES, size=OPERATORS)
    foreign = rng.random(OPERATORS) < FOREIGN_PARENT_SHARE
    out = rng.random(len(dealt)) < (UNAVAILABLE_SHARE if cordons else 0.0)
    assurance = rng.choice(len(ASSURANCE_ODDS), size=len(dealt), p=ASSURANCE_ODDS)
    sites = []
    for index, machines in enumerate(dealt):
        operator = int(operators[index])
        home = countries[index]
        site = Site(
            name=f"site-{index:04d}",
            institution=f"member-{index:04d}",
            operator=f"operator-{operator:02d}",
            jurisdiction=home,
            legal_control=frozenset({home, str(parents[operator])} if foreign[operator] else {home}),
            machines=machines,
            gpu_hour_price=_prices(rng, machines),
            datasets={f"data-{index:04d}": home},
            assurance=int(assurance[index]),
        )  # fmt: skip
        sites.append(_cordoned(site) if out[index] else site)
    return tuple(sites)


def zipf(count: int) -> Floats:
    """Probabilities of ranks 1 … count under Zipf's law with exponent 1."""
    weights = 1.0 / np.arange(1, count + 1)
    return np.asarray(weights / weights.sum(), np.float64)


def site_gpus(site: Site) -> int:
    """GPUs that exist at a site."""
    return sum(group.count * group.gpus for group in site.machines)


def _cordoned(site: Site) -> Site:
    return replace(
        site, unavailable=Reason.NODE_CORDONED, unavailable_message="cordoned by the generator"
    )


def _prices(rng: np.random.Generator, machines: tuple[Machines, ...]) -> dict[str, int]:
    factor = float(rng.lognormal(0.0, PRICE_SIGMA))
    base = {kind.name: kind.hour_price_micros for kind in GPU_KINDS.values()}
    return {group.gpu_class: round(base[group.gpu_class] * factor) for group in machines}


def _countries(rng: np.random.Generator, count: int) -> list[str]:
    """Every country once while sites last, then again: none is far larger by chance."""
    rounds = -(-count // len(COUNTRIES))
    order = np.concatenate([rng.permutation(len(COUNTRIES)) for _ in range(rounds)])
    return [COUNTRIES[int(order[index])] for index in range(count)]


def _deal(rng: np.random.Generator, gpus: int, weights: Floats) -> list[tuple[Machines, ...]]:
    """Shuffle racks of equal machines and cut the row of racks in proportion to the weights."""
    racks = [rack for kind, nodes in _scaled(read_supply(), gpus) for rack in _racks(kind, nodes)]
    order = rng.permutation(len(racks))
    sizes: Ints = np.array([racks[int(i)].count * racks[int(i)].gpus for i in order], np.int64)
    middles = np.cumsum(sizes) - sizes / 2
    edges = np.cumsum(weights / weights.sum()) * sizes.sum()
    owner = np.minimum(np.searchsorted(edges, middles), len(weights) - 1)
    piles: list[list[Machines]] = [[] for _ in weights]
    for position, rack in enumerate(order):
        piles[int(owner[position])].append(racks[int(rack)])
    _feed_the_empty(piles)
    return [_merged(pile) for pile in piles]


def _feed_the_empty(piles: list[list[Machines]]) -> None:
    """A site too small for its cut gets one machine of its richest peer."""
    for pile in piles:
        if not pile:
            donor = max(piles, key=lambda other: sum(rack.count for rack in other))
            rack = max(donor, key=lambda other: other.count)
            donor[donor.index(rack)] = replace(rack, count=rack.count - 1)
            pile.append(replace(rack, count=1))


def _scaled(supply: tuple[NodeKind, ...], gpus: int) -> list[tuple[NodeKind, int]]:
    total = sum(kind.nodes * kind.gpus for kind in supply)
    exact = np.array([kind.nodes * gpus / total for kind in supply])
    counts: Ints = np.floor(np.cumsum(exact) + 0.5).astype(np.int64)
    return list(zip(supply, (int(n) for n in np.diff(counts, prepend=0)), strict=True))


def _racks(kind: NodeKind, nodes: int) -> list[Machines]:
    full, rest = divmod(nodes, RACK_MACHINES)
    gpu = GPU_KINDS[kind.model]
    one = Machines(
        1, kind.gpus, gpu.name, gpu.memory_gib << 30, kind.cpu_millis, kind.memory_mib << 20
    )
    return [replace(one, count=n) for n in [RACK_MACHINES] * full + ([rest] if rest else [])]


def _merged(pile: Sequence[Machines]) -> tuple[Machines, ...]:
    counts: dict[Machines, int] = {}
    for rack in pile:
        unit = replace(rack, count=1)
        counts[unit] = counts.get(unit, 0) + rack.count
    merged = [replace(unit, count=count) for unit, count in counts.items() if count]
    return tuple(sorted(merged, key=lambda m: (m.gpu_class, m.gpus, m.cpu_millis, m.memory_bytes)))
