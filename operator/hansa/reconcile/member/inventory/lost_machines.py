"""Which machines are lost: not Ready for too long, or taken out of the cluster.

Kubernetes and KubeRay leave a run that had a pod there as it is: the pod counts as Running until it is evicted after
300 s, then as Terminating for as long as its kubelet is away, and a worker that is either is not replaced (kuberay
#4078). A job that waits for that worker would wait until its time is over.

Where no machine at all is Ready, what tells of them is at fault and not the machines, which Kubernetes evicts nothing
for either: the agent stands on one of them. Where nobody answered for a while, what was said before it is no longer
known: kubelets need the same server to say that they are there, so every machine gets its time anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

KEPT_S = 3600
"""A machine that was taken out is remembered for so long; its pods are collected within a minute or two."""
BLIND_S = 30
"""Without an answer for longer, the agent was blind; kubelets renew every 10 s and are missed after 40 s."""
OVER = frozenset({"Succeeded", "Failed"})
"""Phases of a pod that needs its machine no more."""


def is_ready(node: Mapping[str, Any]) -> bool:
    """Tell whether a Node says that it is Ready."""
    rows = (node.get("status") or {}).get("conditions") or ()
    return any(row.get("type") == "Ready" and row.get("status") == "True" for row in rows)


class LostMachines:
    """What was seen of machines that are away; times are of a clock that never goes back, in seconds."""

    def __init__(self) -> None:
        """All are there, as far as is known."""
        self._ready: set[str] = set()
        self._unready: dict[str, float] = {}
        self._removed: dict[str, float] = {}
        self._answered_s = 0.0

    def answered(self, at_s: float) -> None:
        """Take in that the API server told of machines; to be asked for while ``unready`` names any."""
        if at_s - self._answered_s > BLIND_S:
            self._unready = dict.fromkeys(self._unready, at_s)
        self._answered_s = at_s

    def seen(self, name: str, at_s: float, *, ready: bool) -> None:
        """Take in what a machine's Node says."""
        self.answered(at_s)
        self._removed.pop(name, None)
        if ready:
            self._ready.add(name)
            self._unready.pop(name, None)
        else:
            self._ready.discard(name)
            self._unready.setdefault(name, at_s)

    def back(self, name: str, at_s: float) -> None:
        """Take in that a machine was read as Ready, of which the last that was told is that it is not."""
        if name in self._unready:
            self._unready[name] = at_s

    def removed(self, name: str, at_s: float) -> None:
        """Take in that a machine's Node was deleted."""
        self._ready.discard(name)
        self._unready.pop(name, None)
        self._removed[name] = at_s
        self._removed = {one: s for one, s in self._removed.items() if at_s - s < KEPT_S}

    @property
    def unready(self) -> frozenset[str]:
        """Machines whose Nodes say that they are not Ready; none where nothing is known of them."""
        return frozenset(self._unready if self._ready else ())

    @property
    def knows_any(self) -> bool:
        """Whether any machine is Ready, as far as is known."""
        return bool(self._ready)

    @property
    def away(self) -> frozenset[str]:
        """Machines that are not Ready now, or are no more."""
        return self.unready | frozenset(self._removed)

    def lost(self, now_s: float, limit_s: float) -> frozenset[str]:
        """Return those that are not Ready since ``limit_s`` or longer, or are no more."""
        late = (name for name, since_s in self._unready.items() if now_s - since_s >= limit_s)
        return self.away & {*late, *self._removed}


def machines_of(pods: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """Return the machines that pods stand on which have not ended."""
    return frozenset(
        str((pod.get("spec") or {}).get("nodeName") or "")
        for pod in pods
        if (pod.get("status") or {}).get("phase") not in OVER
    ) - {""}
