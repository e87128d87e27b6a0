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
    """At least ``threshold`` of ``members``, each a name or the name of a group before this one."""

    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Quorum:
    """A rule by name, and the groups it may lead to, in an order in which each knows its members."""

    rule: str
    groups: Mapping[str, Group] = field(default_factory=dict)

    def missing(self, spoken: AbstractSet[str]) -> tuple[str, ...]:
        """Return what is missing, a sentence for each group that is short; empty: the rule is met."""
        met = spoken - self.groups.keys() | {NONE}
        for name, group in self.groups.items():
            if sum(member in met for member in group.members) >= group.threshold:
                met |= {name}
        return () if self.rule in met else tuple(self._short(met))

    def _short(self, met: AbstractSet[str]) -> list[str]:
        """Say of each group between the rule and those who have not spoken what it lacks."""
        if self.rule not in self.groups:
            return [f"{self.rule} is missing"]
        wanted, sentences = {self.rule}, []
        for name, group in reversed(list(self.groups.items())):
            if name in wanted:
                absent = [member for member in group.members if member not in met]
                wanted.update(absent)
                found = len(group.members) - len(absent)
                names = ", ".join(absent)
                sentences.append(f"{name} has {found} of {group.threshold}; missing: {names}")
        return sentences
