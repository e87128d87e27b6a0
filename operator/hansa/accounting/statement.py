"""A month for one institution: what it used and what it earned, by project, data set and node.

Totals are sums of receipts and of nothing else, so that any row can be walked back to them. A run on
several data sets counts for each of them in the rows by data set, and once in every total.

A month that is over is closed: what comes in later is an entry of the month in which it came, and says of
which month it is. That is how a prior period is corrected in double entry, and a set-off stays as it was signed.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from hansa.accounting import amounts
from hansa.accounting.quote import CarbonFactor
from hansa.accounting.usage import Usage

JOULES_PER_KWH = 3_600_000
_MONTH = re.compile(r"^([0-9]{4})-(0[1-9]|1[0-2])$", re.ASCII)


@dataclass(frozen=True, slots=True)
class Month:
    """A calendar month in UTC."""

    year: int
    month: int

    @classmethod
    def read(cls, text: str) -> Month:
        """Return the month that a text names; raises ``ValueError`` with what to write.

        >>> Month.read("2026-11").name
        '2026-11'
        """
        match = _MONTH.match(text)
        if match is None or match[1] == "0000":
            raise ValueError(f"{text!r} is no month; write for example 2026-11")
        return cls(int(match[1]), int(match[2]))

    @classmethod
    def of(cls, end_ms: int) -> Month:
        """Return the month that what ends then belongs to: the last millisecond before it decides.

        >>> Month.of(Month(2026, 11).bounds_ms[1]).name
        '2026-11'
        """
        last = datetime.fromtimestamp((end_ms - 1) // 1000, tz=UTC)
        return cls(last.year, last.month)

    @property
    def name(self) -> str:
        """``YYYY-MM``."""
        return f"{self.year:04d}-{self.month:02d}"

    @property
    def bounds_ms(self) -> tuple[int, int]:
        """First millisecond of it, and of the next one."""
        first = datetime(self.year, self.month, 1, tzinfo=UTC)
        days = calendar.monthrange(self.year, self.month)[1]
        start_ms = int(first.timestamp()) * 1000
        return start_ms, start_ms + days * 86_400_000


@dataclass(frozen=True, slots=True)
class Sums:
    """What a group of receipts adds up to."""

    receipts: int = 0
    gpu_ms: int = 0
    cpu_ms: int = 0
    energy_j: int = 0
    co2_mg: int = 0
    amount: int = 0
    unmetered: int = 0
    """Receipts without energy: what they drew is in no sum."""
    undeclared: int = 0
    """Receipts with energy whose node declared no factor when they ended."""
    as_of: frozenset[str] = frozenset()
    """Dates of the factors that were used."""

    def plus(self, usage: Usage, factor: CarbonFactor | None) -> Sums:
        """Return the sums with one receipt more."""
        joules = usage.energy_j
        known = joules is not None and factor is not None
        milligrams = 0
        if joules is not None and factor is not None:
            milligrams = amounts.half_even(joules * factor.grams_per_kwh * 1000, JOULES_PER_KWH)
        return Sums(
            self.receipts + 1,
            self.gpu_ms + usage.gpu_ms,
            self.cpu_ms + usage.cpu_ms,
            self.energy_j + (joules or 0),
            self.co2_mg + milligrams,
            self.amount + usage.amount,
            self.unmetered + (joules is None),
            self.undeclared + (joules is not None and not known),
            self.as_of | ({factor.as_of} if known and factor is not None else set()),
        )


@dataclass(frozen=True, slots=True)
class Correction:
    """A later change of what a receipt costs. The receipt stays as it is."""

    digest: str
    receipt_digest: str
    debtor: str
    creditor: str
    currency: str
    amount: int
    """Micros; below zero where the debtor owes less."""
    recorded_ms: int
    note: str = ""


Declared = Mapping[str, Sequence[tuple[int, CarbonFactor | None]]]
"""Node → (since when in ms since the Unix epoch, factor; None: none), the oldest first."""
Groups = Mapping[tuple[str, str], Sums]
"""(name, currency) → sums."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One institution's month."""

    institution: str
    month: Month
    used: Mapping[str, Sums]
    """Currency → what it is charged for."""
    earned: Mapping[str, Sums]
    """Currency → what others and itself are charged for on its nodes."""
    projects: Groups
    data_sets: Groups
    providers: Groups
    payers: Groups
    corrections: tuple[Correction, ...] = ()
    """Recorded in this month, of this institution's receipts; in no row above."""
    late_used: Mapping[str, Groups] = field(default_factory=dict)
    """Earlier month → project → what ended in it and came in this one; in no row above."""
    late_earned: Mapping[str, Groups] = field(default_factory=dict)
    """The same of its nodes, by payer."""
    factors: Mapping[str, tuple[CarbonFactor, ...]] = field(default_factory=dict)
    """Node → factors that were used."""


def statement(
    institution: str,
    month: Month,
    usages: Iterable[Usage],
    factors: Declared | None = None,
    corrections: Iterable[Correction] = (),
) -> Statement:
    """Add up an institution's month. A receipt belongs to the month that it ends in, or came in if that is later.

    ``usages``: what belongs to the month and was posted or is pending; what is void is nobody's. A correction belongs
    to the month that it was recorded in, and CO2 is by what a node declared when the receipt ended: a month that was
    told once stays as it was told.
    """
    known, (start_ms, end_ms) = dict(factors or {}), month.bounds_ms
    found = [usage for usage in usages if usage.end_ms <= end_ms]
    inside = [usage for usage in found if usage.end_ms > start_ms]
    late = [usage for usage in found if usage.end_ms <= start_ms]
    used = [usage for usage in inside if usage.institution == institution]
    earned = [usage for usage in inside if usage.provider == institution]
    nodes = {usage.node for usage in found if institution in {usage.institution, usage.provider}}
    return Statement(
        institution,
        month,
        used={key[1]: sums for key, sums in _grouped(used, lambda _: ("",), known).items()},
        earned={key[1]: sums for key, sums in _grouped(earned, lambda _: ("",), known).items()},
        projects=_grouped(used, lambda usage: (usage.project,), known),
        data_sets=_grouped(used, lambda usage: usage.data_sets, known),
        providers=_grouped(used, lambda usage: (usage.provider,), known),
        payers=_grouped(earned, lambda usage: (usage.institution,), known),
        corrections=tuple(
            row
            for row in sorted(corrections, key=lambda row: (row.recorded_ms, row.digest))
            if start_ms <= row.recorded_ms < end_ms and institution in {row.debtor, row.creditor}
        ),
        late_used=_by_month(
            (usage for usage in late if usage.institution == institution),
            lambda usage: (usage.project,),
            known,
        ),
        late_earned=_by_month(
            (usage for usage in late if usage.provider == institution),
            lambda usage: (usage.institution,),
            known,
        ),
        factors={node: told for node in sorted(nodes) if (told := _used(found, node, known))},
    )


def _by_month(
    usages: Iterable[Usage], names_of: Callable[[Usage], Iterable[str]], factors: Declared
) -> dict[str, Groups]:
    months: dict[str, list[Usage]] = {}
    for usage in usages:
        months.setdefault(Month.of(usage.end_ms).name, []).append(usage)
    return {name: _grouped(months[name], names_of, factors) for name in sorted(months)}


def _at(usage: Usage, factors: Declared) -> CarbonFactor | None:
    """Return what a use's node declared when it ended."""
    said = [factor for since_ms, factor in factors.get(usage.node, ()) if since_ms <= usage.end_ms]
    return said[-1] if said else None


def _used(usages: Iterable[Usage], node: str, factors: Declared) -> tuple[CarbonFactor, ...]:
    mine = (_at(usage, factors) for usage in usages if usage.node == node)
    return tuple(dict.fromkeys(factor for factor in mine if factor is not None))


def _grouped(
    usages: Iterable[Usage],
    names_of: Callable[[Usage], Iterable[str]],
    factors: Declared,
) -> dict[tuple[str, str], Sums]:
    groups: dict[tuple[str, str], Sums] = {}
    for usage in usages:
        for name in names_of(usage):
            key = (name, usage.currency)
            groups[key] = groups.get(key, Sums()).plus(usage, _at(usage, factors))
    return dict(sorted(groups.items()))
