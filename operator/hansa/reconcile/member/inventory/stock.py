"""What a member's cluster has to lend: classes, shapes, places. Decided from machines and the policy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from hansa.api.memberpolicy import MemberPolicySpec
from hansa.api.meta import JURISDICTION_LABEL, GpuInventory, MachineShape
from hansa.grants.facts import GpuStock
from hansa.model.quantities import millis, units
from hansa.ports import Manifest
from hansa.reconcile.member.inventory.accelerators import NOTHING
from hansa.reconcile.member.inventory.cards import Cards
from hansa.reconcile.member.inventory.machine import Machine, beside
from hansa.reconcile.member.inventory.requests import Held

MAX_SHAPES = 128
MOST_NAMED = 8
UNREAD = (
    "no exporter tells what other pods hold there, so that all of it is lent (chart hansa-member: exporter.enabled,"
    " exporter.nodeSelector, exporter.tolerations)"
)


@dataclass(frozen=True, slots=True)
class CardChoice:
    """How the pods of a run ask for GPUs of its class."""

    resource: str
    marks: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Label → values of the machines with them; no value: machines without the label."""
    environment: Mapping[str, str] = field(default_factory=lambda: NOTHING)

    def expressions(self) -> list[Manifest]:
        """Return it as requirements of a node affinity."""
        return [
            {"key": label, "operator": "In", "values": list(values)}
            if values
            else {"key": label, "operator": "DoesNotExist"}
            for label, values in self.marks
        ]


@dataclass(frozen=True, slots=True)
class Inventory:
    """What is lent, under one policy."""

    machines: tuple[Machine, ...] = ()
    stock: Mapping[str, GpuStock] = field(default_factory=dict)
    full_disks: tuple[str, ...] = ()
    """Machines under disk pressure, when no usable one is left without it."""
    busy: Mapping[str, int] = field(default_factory=dict)
    """GPU class → GPUs that jobs keep busy; classes whose cards do not tell are missing."""
    troubles: tuple[str, ...] = ()
    """What is not lent, or not to everybody, because it is not understood."""

    def choice(self, wanted: str) -> CardChoice | None:
        """Return how pods ask for a class; None: there are none of it now."""
        found = [cards for m in self.machines for cards in m.cards if cards.gpu_class == wanted]
        if not found:
            return None
        first = found[0]
        values: dict[str, set[str]] = {label: set() for label, _ in first.marks}
        for label, value in (mark for cards in found for mark in cards.marks):
            values[label] |= {value} if value else set()
        marks = tuple((label, tuple(sorted(some))) for label, some in values.items())
        return CardChoice(first.resource, marks, first.environment)

    def jurisdictions(self) -> tuple[str, ...]:
        """Return the places its machines are labelled with."""
        return tuple(sorted({machine.jurisdiction for machine in self.machines}))


def take_stock(
    machines: Iterable[Machine],
    policy: MemberPolicySpec,
    held: Mapping[str, int],
    others: Mapping[str, Held] | None = None,
) -> Inventory:
    """Return what ``policy`` lends of ``machines``.

    ``held``: GPUs of each class that jobs hold. ``others``: machine → what everybody else's pods hold; None: no
    exporter was asked yet.
    Only usable machines that carry a jurisdiction label inside the policy's jurisdiction count.
    """
    all_machines = [*machines]
    ours = [m for m in all_machines if _inside(m.jurisdiction, policy.jurisdiction)]
    left = [beside(m, others[m.name]) if others and m.name in others else m for m in ours]
    here = [m for m in left if m.usable]
    apart, mixed = _told_apart([m for m in here if not m.disk_pressure])
    alike, odd = _alike(apart)
    lent = {rule.gpu_class: rule.max_gpus for rule in policy.lending}
    found = Counter[str]()
    least: dict[str, Cards] = {}
    for cards in (cards for machine in alike for cards in machine.cards):
        found[cards.gpu_class] += cards.count
        # The smallest card decides: a gang may land on any of them.
        smallest = least.setdefault(cards.gpu_class, cards)
        least[cards.gpu_class] = min(smallest, cards, key=lambda one: one.memory_bytes)
    stock = {
        name: GpuStock(
            min(count, lent.get(name, count)),
            least[name].memory_bytes,
            held.get(name, 0),
            is_slice=least[name].is_slice,
        )
        for name, count in sorted(found.items())
    }
    full = tuple(sorted(m.name for m in here)) if here and not alike else ()
    unread = [f"{m.name}: {UNREAD}" for m in alike if others is not None and m.name not in others]
    return Inventory(
        alike,
        stock,
        full,
        troubles=(
            *told(left),
            *unread,
            *mixed,
            *odd,
            *_misplaced(all_machines, policy.jurisdiction),
        ),
    )


def _misplaced(machines: list[Machine], jurisdiction: str) -> list[str]:
    """Tell of machines that would take runs, but for where they are said to stand.

    One without the label is left out on purpose, unless all are.
    """
    is_any = any(_inside(m.jurisdiction, jurisdiction) for m in machines)
    label = JURISDICTION_LABEL
    return [
        f"{m.name}: {label}={m.jurisdiction} is not in {jurisdiction}, the policy's jurisdiction: it is not lent"
        if m.jurisdiction
        else f"{m.name}: no label {label} says where it stands: it is not lent"
        for m in machines
        if m.usable and not _inside(m.jurisdiction, jurisdiction) and (m.jurisdiction or not is_any)
    ]


def _told_apart(machines: list[Machine]) -> tuple[list[Machine], list[str]]:
    """Leave out whole cards whose labels other machines have whose cards are shared: a run could be given a share."""
    shares = {(c.resource, c.marks) for m in machines for c in m.cards if c.is_slice}
    kept, mixed = [], []
    for machine in machines:
        fit = [c for c in machine.cards if c.is_slice or (c.resource, c.marks) not in shares]
        kept.append(replace(machine, cards=tuple(fit)))
        mixed += [
            f"{machine.name}: its {c.gpu_class} is not lent: other machines have its labels and share their"
            " cards, so that a run could be given a share"
            for c in machine.cards
            if c not in fit
        ]
    return kept, mixed


def _alike(machines: list[Machine]) -> tuple[tuple[Machine, ...], list[str]]:
    """Leave out cards that are asked for unlike the others of their class, or whose memory is not known.

    A run asks in one way for all its GPUs. Where nothing is known of a whole class, it stays: for jobs
    that ask for no memory.
    """
    ways = Counter[tuple[str, bool, tuple[str, ...]]]()
    for cards in (cards for machine in machines for cards in machine.cards):
        ways[cards.gpu_class, bool(cards.memory_bytes), cards.way] += cards.count
    best: dict[str, tuple[bool, tuple[str, ...]]] = {}
    for (name, is_known, way), _ in sorted(
        ways.items(), key=lambda row: (row[0][1], row[1], row[0][2])
    ):
        best[name] = is_known, way
    kept, odd = [], []
    for machine in machines:
        fit = [c for c in machine.cards if best[c.gpu_class] == (bool(c.memory_bytes), c.way)]
        odd += [
            f"{machine.name}: its {c.gpu_class} is told unlike the others of its class and not lent"
            for c in machine.cards
            if c not in fit
        ]
        kept.append(replace(machine, cards=tuple(fit)))
    return tuple(kept), odd


def told(machines: Iterable[Machine]) -> list[str]:
    """Return what people have to know, by machine."""
    rows = []
    for machine in machines:
        said = list(machine.troubles)
        if machine.barred and not machine.is_expected:
            said.insert(0, machine.barred)
        if said:
            rows.append(f"{machine.name}: {'; '.join(said)}")
    return sorted(rows)


def named(troubles: Iterable[str]) -> str:
    """Return troubles as one text of bounded length; empty: there is none.

    What several machines share is said once.
    """
    by_text: dict[str, list[str]] = {}
    for trouble in troubles:
        machine, _, text = trouble.partition(": ")
        by_text.setdefault(text, []).append(machine)
    lines = [f"{_some(names)}: {text}" for text, names in by_text.items()]
    more = [f"and {len(lines) - MOST_NAMED} more"] if len(lines) > MOST_NAMED else []
    return ". ".join([*lines[:MOST_NAMED], *more])


def _some(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more machines"


def gpu_inventory(inventory: Inventory) -> tuple[GpuInventory, ...]:
    """Return the inventory as ``SovereignNode.status`` states it."""
    return tuple(
        GpuInventory(
            gpu_class=name,
            memory=_told_memory(gpus),
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
    cards = {name: _told_memory(gpus) for name, gpus in inventory.stock.items()}
    shapes = Counter[tuple[str, int, str, str]]()
    for machine in inventory.machines:
        shapes.update(_parts(machine))
    return tuple(
        MachineShape(
            machines=count,
            gpu_class=name,
            gpus=gpus,
            gpu_memory=cards[name] if gpus else None,
            cpu=cpu,
            memory=memory,
        )
        for (name, gpus, cpu, memory), count in sorted(
            shapes.items(), key=lambda row: (-row[1], row[0])
        )[:MAX_SHAPES]
    )


def _told_memory(gpus: GpuStock) -> str | None:
    """Return the memory of one GPU as it is written; None: unknown is not zero."""
    return f"{gpus.memory_bytes >> 20}Mi" if gpus.memory_bytes else None


def _parts(machine: Machine) -> Counter[tuple[str, int, str, str]]:
    """Return a machine as the hub shall fill it.

    A shape has GPUs of one class, and each slice is a shape of its own, so that no worker is given two:
    processor and memory are divided among them.
    """
    parts: list[tuple[str, int]] = []
    for cards in machine.cards:
        if cards.is_slice:
            parts += [(cards.gpu_class, 1)] * cards.count
        elif cards.count:
            parts.append((cards.gpu_class, cards.count))
    if len(parts) <= 1:
        name, gpus = parts[0] if parts else ("", 0)
        return Counter([(name, gpus, machine.cpu, machine.memory)])
    whole = sum(gpus for _, gpus in parts)
    return Counter(
        (
            name,
            gpus,
            f"{millis(machine.cpu) * gpus // whole}m",
            f"{(units(machine.memory) * gpus // whole) >> 20}Mi",
        )
        for name, gpus in parts
    )


def _inside(place: str, jurisdiction: str) -> bool:
    return place == jurisdiction or place.startswith(f"{jurisdiction}-")
