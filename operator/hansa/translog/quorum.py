"""Nested groups, k of n: when enough of those named have spoken.

Pure arithmetic of names, for cosigned checkpoints as for anything else that k of n must agree to.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

NONE = "none"
"""The rule that asks for nobody."""


@dataclass(frozen=True, slots=True)
class Group:
    """At least ``threshold`` of ``members``, each a name or another group's name."""

    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Quorum:
    """A rule by name, and the groups it may lead to."""

    rule: str
    groups: Mapping[str, Group] = field(default_factory=dict)

    def missing(self, spoken: AbstractSet[str]) -> tuple[str, ...]:
        """Return what is missing, a sentence for each group that is short; empty: the rule is met."""
        short: dict[str, str] = {}
        met = self._is_met(self.rule, spoken, short)
        return () if met else tuple(short.values())

    def _is_met(self, name: str, spoken: AbstractSet[str], short: dict[str, str]) -> bool:
        group = self.groups.get(name)
        if group is None:
            if name != NONE and name not in spoken:
                short.setdefault(name, f"{name} is missing")
            return name == NONE or name in spoken
        absent = [m for m in group.members if not self._is_met(m, spoken, short)]
        found = len(group.members) - len(absent)
        if found < group.threshold:
            text = f"{name} has {found} of {group.threshold}; missing: {', '.join(absent)}"
            short.setdefault(name, text)
        return found >= group.threshold
