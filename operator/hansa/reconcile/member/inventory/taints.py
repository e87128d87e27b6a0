"""What pods of runs tolerate: the one source, for counting machines and for rendering pods.

All pods of a run (head, submitter, workers) tolerate the same: the hub counts every machine for each
of them, and a machine that takes only some would be counted on in vain.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hansa.ports import Manifest

BARRING_EFFECTS = frozenset({"NoSchedule", "NoExecute"})
STATE_PREFIX = "node.kubernetes.io/"
"""Taints that the cluster sets by a machine's state, which is looked at by itself."""
DISK_PRESSURE = f"{STATE_PREFIX}disk-pressure"
"""Comes with its condition, so that a full disk is called a full disk."""
EXPECTED = (
    "node-role.kubernetes.io/",
    STATE_PREFIX,
    "node.cloudprovider.kubernetes.io/",
    "node.cluster.x-k8s.io/",
    "node.cilium.io/",
    "karpenter.sh/disrupt",
    "karpenter.sh/unregistered",
    "ToBeDeletedByClusterAutoscaler",
)
"""Taints that bar machines on purpose, or while they come and go: nobody has to be told."""


@dataclass(frozen=True, slots=True)
class Toleration:
    """One taint that pods of runs tolerate; an empty value or effect means any."""

    key: str
    value: str = ""
    effect: str = ""

    def covers(self, taint: Mapping[str, Any]) -> bool:
        """Tell whether it tolerates a taint of a Node."""
        return (
            taint.get("key") == self.key
            and (not self.value or taint.get("value", "") == self.value)
            and (not self.effect or taint.get("effect") == self.effect)
        )

    def manifest(self) -> Manifest:
        """Return it as pods state it."""
        said = {"key": self.key, "operator": "Equal" if self.value else "Exists"}
        more = {"value": self.value, "effect": self.effect}
        return said | {name: text for name, text in more.items() if text}


def untolerated(
    taints: Iterable[Mapping[str, Any]], tolerations: Iterable[Toleration]
) -> tuple[str, ...]:
    """Return the taints that bar a machine, as ``kubectl`` writes them."""
    carried = tuple(tolerations)
    return tuple(
        _written(taint)
        for taint in taints
        if taint.get("effect") in BARRING_EFFECTS
        and taint.get("key") != DISK_PRESSURE
        and not any(one.covers(taint) for one in carried)
    )


def is_expected(taint: str) -> bool:
    """Tell whether a written taint bars its machine on purpose."""
    return taint.startswith(EXPECTED)


def _written(taint: Mapping[str, Any]) -> str:
    value = f"={taint['value']}" if taint.get("value") else ""
    return f"{taint.get('key', '')}{value}:{taint.get('effect', '')}"
