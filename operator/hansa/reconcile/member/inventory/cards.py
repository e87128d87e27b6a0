"""The cards of one machine: which of its resources are accelerators, of which class and size.

Unknown is not zero: cards whose class is not told are named and not counted, and cards whose memory
is not told (or cannot be true) count only for jobs that ask for no memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from hansa.model.quantities import units
from hansa.reconcile.member.inventory.accelerators import (
    MOST_NAME,
    NOTHING,
    Accelerator,
    gpu_class,
    is_unknown_accelerator,
)

MOST_CARDS = 64
"""Of one class in one machine, as the hub is told of machines."""
MOST_WHOLE = 16
"""Whole cards of a machine whose cards nobody counted: a plugin that offers more offers shares."""
LEAST_MEMORY, MOST_MEMORY = 1 << 30, 1 << 40
"""Of a whole card or a MIG slice; beside it a label states another unit, or nothing true."""
MOST_A_GIGABYTE = 9 << 27
"""Bytes: an eighth above 2^30, as makers round down."""
SHARED, MIG = "-shared", "-mig-"
UNOFFERED = "but no device plugin offers it"
_PARTITION = re.compile(r"mig-((?:\d+c\.)?\d+g\.\d+gb[a-z0-9.+-]*)", re.IGNORECASE)
_SIZE = re.compile(r"(?:\d+c\.)?\d+g\.(\d+)gb")
_NAMED = re.compile(r"(?<![0-9.])(\d+)GB", re.IGNORECASE)
"""As in A100-SXM4-80GB; the memory of GH200-480GB is the processor's, and more than the card's."""
_SEEN = re.compile(
    r"feature\.node\.kubernetes\.io/pci-((03|12)\d\d_)?10de\.present"
    r"|feature\.node\.kubernetes\.io/pci-(0380|0302|1200)_[0-9a-f]{4}\.present"
    r"|feature\.node\.kubernetes\.io/amd-gpu|intel\.feature\.node\.kubernetes\.io/(gpu|gaudi)"
)
"""How node feature discovery and the makers' rules tell of cards. Of other makers only classes of PCI that are no
screen's: 3D controllers, other display controllers, accelerators."""
_SUFFIX = re.compile(r"[-_]SHARED$", re.IGNORECASE)
Mark = tuple[str, str]
"""Label and value that a machine of the class has; an empty value: it has no such label."""


@dataclass(frozen=True, slots=True)
class Cards:
    """Cards, or slices of cards, of one class in one machine."""

    resource: str
    gpu_class: str
    count: int
    memory_bytes: int = 0
    """Of one; 0: not known."""
    is_slice: bool = False
    """Whether several may be of one card: a worker gets one at most."""
    marks: tuple[Mark, ...] = ()
    """How pods choose machines with them."""
    environment: Mapping[str, str] = field(default_factory=lambda: NOTHING)

    @property
    def way(self) -> tuple[str, ...]:
        """How they are asked for: cards of one class that are asked for alike can serve one job.

        A label that some machines have and others do not cannot be asked for in one way.
        """
        return (self.resource, *(label if value else f"no {label}" for label, value in self.marks))


@dataclass(frozen=True, slots=True)
class Found:
    """What was read of a machine's accelerators, and what was not understood."""

    cards: tuple[Cards, ...] = ()
    troubles: tuple[str, ...] = ()


def read_cards(node: Mapping[str, Any], table: tuple[Accelerator, ...]) -> Found:
    """Return the cards of a Node object, and a sentence for each thing not understood."""
    status = node.get("status") or {}
    labels = node["metadata"].get("labels") or {}
    allocatable, capacity = status.get("allocatable") or {}, status.get("capacity") or {}
    cards, troubles = [], []
    for resource in sorted({*map(str, allocatable), *map(str, capacity)}):
        there, usable = count(capacity.get(resource)), count(allocatable.get(resource))
        if is_unknown_accelerator(resource, table) and usable:
            troubles.append(f"{resource} is in no row of the table of accelerators")
        rows = [row for row in table if row.matches(resource)]
        if not rows:
            continue
        if usable < there:
            troubles.append(f"{there - usable} of {there} {resource} are not allocatable")
        if usable > MOST_CARDS:
            troubles.append(f"{usable} {resource} are there, of which {MOST_CARDS} are lent")
        if usable:
            one, said = _read(resource, usable, rows, labels)
            cards += [one] if one else []
            troubles += said
    troubles += _labelled_only(labels, allocatable, capacity, table)
    return Found(tuple(cards), tuple(troubles))


def _read(
    resource: str, number: int, rows: list[Accelerator], labels: Mapping[str, Any]
) -> tuple[Cards | None, list[str]]:
    row = next(
        (row for row in rows if row.gpu_class or _value(row.class_label, resource, labels)), None
    )
    if row is None:
        wanted = [_label(row.class_label, resource) for row in rows]
        more = ", nor another that the table of accelerators has" if len(rows) > 1 else ""
        return None, [f"{number} {resource} of an unknown product: no label {wanted[0]}{more}"]
    product = _value(row.class_label, resource, labels)
    if "MIG-INVALID" in product.upper():
        return None, [f"{number} {resource}: {product} (the cards are cut unlike each other)"]
    cards = Cards(
        resource,
        row.gpu_class or gpu_class(_SUFFIX.sub("", product), row.vendor),
        number,
        marks=tuple(_marks(row, resource, labels)),
        environment=row.environment,
    )
    cut = _cut(cards, product, row, labels)
    sized, said = _sized(cut, product, row, labels)
    if seen := _counted(cut, row, labels):
        said = [f"{number} {resource} of {seen} cards: each is a share of one", *said]
    elif _is_beyond(cut, row, labels):
        told = f"{number} {resource} are more than a machine has cards: each is a share of one"
        said = [told, *said]
    return replace(sized, count=min(number, MOST_CARDS)), said


def _marks(row: Accelerator, resource: str, labels: Mapping[str, Any]) -> Iterator[Mark]:
    if not row.gpu_class:
        yield _label(row.class_label, resource), _value(row.class_label, resource, labels)
    if row.partition_label:
        for label in filter(None, (row.strategy_label, row.partition_label)):
            yield label, _value(label, resource, labels)


def _cut(cards: Cards, product: str, row: Accelerator, labels: Mapping[str, Any]) -> Cards:
    """Return the cards as slices, where they are."""
    partition, name = _partition(cards.resource, product, row, labels), ""
    if partition:
        name = ("-" if row.whole else MIG) + "-".join(re.findall(r"[a-z0-9]+", partition))
    whole = cards.gpu_class.removesuffix(name)
    cards = replace(cards, gpu_class=_ending(whole, name), is_slice=bool(name))
    if _is_shared(cards, product, row, labels):
        cards = replace(cards, gpu_class=_ending(whole, name + SHARED), is_slice=True)
    return cards


def _partition(resource: str, product: str, row: Accelerator, labels: Mapping[str, Any]) -> str:
    found = _PARTITION.search(resource) or _PARTITION.search(product)
    said = _value(row.partition_label, resource, labels) or (found.group(1) if found else "")
    if row.whole and said.startswith(row.whole):
        return ""
    return re.sub(r"[-.]shared$", "", said.lower())


def _is_shared(cards: Cards, product: str, row: Accelerator, labels: Mapping[str, Any]) -> bool:
    return (
        cards.resource.endswith(".shared")
        or bool(_SUFFIX.search(product))
        or _value(row.strategy_label, cards.resource, labels) not in {"", "none"}
        or count(_value(row.replicas_label, cards.resource, labels)) > 1
        or bool(_counted(cards, row, labels))
        or _is_beyond(cards, row, labels)
    )


def _counted(cards: Cards, row: Accelerator, labels: Mapping[str, Any]) -> int:
    """Return how many cards discovery saw, where a plugin offers more and no label says that it shares them.

    HAMi and Intel's ``shared-dev-num`` are like that. 0: it is not so.
    """
    seen = count(_value(row.count_label, cards.resource, labels))
    return 0 if _is_told(cards, row, labels) or cards.count <= seen else seen


def _is_beyond(cards: Cards, row: Accelerator, labels: Mapping[str, Any]) -> bool:
    """Tell whether a plugin offers more cards than a machine has, of which nobody says how many it has.

    AMD's labeller is silent about partitions unless it is asked to tell of them. A member's own row, which has no
    vendor, says what its cards are: a host may have 32 of some.
    """
    is_counted = bool(count(_value(row.count_label, cards.resource, labels)))
    is_partition = bool(_value(row.partition_label, cards.resource, labels))
    is_known = is_counted or is_partition or _is_told(cards, row, labels)
    return bool(row.vendor) and cards.count > MOST_WHOLE and not is_known


def _is_told(cards: Cards, row: Accelerator, labels: Mapping[str, Any]) -> bool:
    """Tell whether labels say themselves that each is a share or a slice."""
    return count(_value(row.replicas_label, cards.resource, labels)) > 1 or MIG in cards.gpu_class


def _sized(
    cards: Cards, product: str, row: Accelerator, labels: Mapping[str, Any]
) -> tuple[Cards, list[str]]:
    """Return the cards with the memory of one, or 0 and why it is not known."""
    label = _label(row.memory_label, cards.resource)
    said = _value(row.memory_label, cards.resource, labels)
    size = _SIZE.match(_partition(cards.resource, product, row, labels))
    text = row.memory or said or (f"{size.group(1)}G" if size else "")
    text = text or row.memory_by_product.get(product, "")
    if row.whole and cards.is_slice:
        # What whole cards on other machines are labelled with, too.
        cards = replace(cards, marks=cards.marks + (((label, said),) if said else ()))
        return cards, [f"memory of {cards.gpu_class} is unknown: {label} may be the whole card's"]
    text = text.removesuffix("B")
    whole = count(f"{text}{row.memory_unit}" if text.isdecimal() and not row.memory else text)
    if not text:
        why = f"no label {label}" if label else "no row tells it"
        return cards, [f"memory of {cards.gpu_class} is unknown: {why}"]
    if not LEAST_MEMORY <= whole <= min(MOST_MEMORY, _most(product)):
        return cards, [
            f"memory of {cards.gpu_class} is unknown: {label or 'memory'}={text} cannot be"
        ]
    shares = 1
    if cards.gpu_class.endswith(SHARED):
        seen = _counted(cards, row, labels)
        told = count(_value(row.replicas_label, cards.resource, labels))
        shares = -(-cards.count // seen) if seen else told
    if not shares:
        where = _label(row.replicas_label, cards.resource)
        why = f"no label {where}" if where else "no row tells by how many a card is shared"
        return cards, [f"memory of {cards.gpu_class} is unknown: {why}"]
    marks = cards.marks + (((label, said),) if said and not row.memory else ())
    return replace(cards, memory_bytes=whole // shares, marks=marks), []


def _most(product: str) -> int:
    """Return the most memory that a card of a product can have, where its name tells: a little is kept for rounding."""
    named = _NAMED.search(product)
    return int(named.group(1)) * MOST_A_GIGABYTE if named else MOST_MEMORY


def _labelled_only(
    labels: Mapping[str, Any],
    allocatable: Mapping[str, Any],
    capacity: Mapping[str, Any],
    table: tuple[Accelerator, ...],
) -> list[str]:
    """Tell of cards that discovery saw and no device plugin offers."""
    offered = {name for some in (allocatable, capacity) for name in some if count(some[name])}
    known = any(row.matches(resource) for row in table for resource in offered)
    if known or any(is_unknown_accelerator(resource, table) for resource in offered):
        return []
    seen = [
        name
        for name, value in sorted(labels.items())
        if (name == "nvidia.com/gpu.present" and value == "true")
        or (_SEEN.fullmatch(name) and value == "true")
        or any(name == _label(row.class_label, row.resource) for row in table)
    ]
    return [f"label {seen[0]} tells of a card, {UNOFFERED}"] if seen else []


def count(value: object) -> int:
    """Return a quantity as a whole number; what is none is 0."""
    try:
        return max(0, units(str(value)))
    except ValueError:
        return 0


def _label(template: str, resource: str) -> str:
    return template.replace("{base}", resource.removesuffix(".shared"))


def _value(template: str, resource: str, labels: Mapping[str, Any]) -> str:
    return str(labels.get(_label(template, resource)) or "") if template else ""


def _ending(name: str, suffix: str) -> str:
    return name[: MOST_NAME - len(suffix)].rstrip("-") + suffix
