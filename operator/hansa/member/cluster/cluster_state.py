"""What the agent knows of its own cluster besides runs: policy, machines, volumes, readiness.

Filled by kopf's events and by probes; read by the judge, the renderer and the publisher.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from hansa.grants.facts import Readiness
from hansa.member.cluster.policy import HeldPolicy
from hansa.reconcile.member.inventory.devices import Devices, with_devices
from hansa.reconcile.member.inventory.lost_machines import LostMachines
from hansa.reconcile.member.inventory.machine import Machine, MachineRules, read_machine
from hansa.reconcile.member.inventory.requests import Held
from hansa.reconcile.member.inventory.stock import Inventory, take_stock
from hansa.reconcile.member.platform.checkpoints import CheckpointRules
from hansa.reconcile.member.platform.resolvers import KNOWN, Resolver
from hansa.reconcile.member.run_request import RESOLVER


@dataclass(frozen=True, slots=True)
class KubeRay:
    """What was found of KubeRay."""

    version: str = ""
    missing: str = "KubeRay was not looked for yet"
    too_old: str = ""

    @property
    def trouble(self) -> str:
        """Why it cannot be used; empty when it can."""
        return self.missing or self.too_old


NO_RESOLVER = (
    f"the agent's namespace has no Service {RESOLVER} with an address: work that reads data, or without"
    " egress, needs it (chart hansa-member)"
)


@dataclass(frozen=True, slots=True)
class Canary:
    """Outcome of the last trial of the second lock: dry runs of what its rules must refuse."""

    outcome: str = "NotRun"
    """``Denied``, ``Admitted`` or ``NotRun``."""
    message: str = "the canary has not run yet"

    @property
    def trouble(self) -> str:
        """Why work is refused for it; empty when the second lock holds."""
        return "" if self.outcome == "Denied" else self.message


@dataclass(slots=True)
class ClusterState:
    """The member's cluster, as last seen."""

    rules: MachineRules = field(default_factory=MachineRules)
    checkpoints: CheckpointRules = field(default_factory=CheckpointRules)
    policy: HeldPolicy = field(default_factory=HeldPolicy)
    machines: dict[str, Machine] = field(default_factory=dict)
    kuberay: KubeRay = field(default_factory=KubeRay)
    resolver: str = ""
    """Address of the resolver that forwards nothing; empty: there is none."""
    resolvers: tuple[Resolver, ...] = KNOWN
    """Whom runs that may reach somebody ask for names, as found."""
    canary: Canary = field(default_factory=Canary)
    volumes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Data set → spec of its PersistentVolume."""
    unusable_data: Mapping[str, str] = field(default_factory=dict)
    busy: Mapping[str, int] = field(default_factory=dict)
    """GPU class → GPUs that jobs keep busy, as the exporters told."""
    others: Mapping[str, Held] | None = None
    """Machine → what pods there hold that are no run's, as its exporter told last; None: not asked yet."""
    devices: Mapping[str, tuple[Devices, ...]] = field(default_factory=dict)
    """Machine → cards that DRA drivers offer there."""
    lost_machines: LostMachines = field(default_factory=LostMachines)
    _lent: Inventory | None = None
    """Inventory with nothing held; None: to be taken again."""

    def put_policy(self, policy: HeldPolicy) -> None:
        """Put a new policy into force."""
        self.policy, self._lent = policy, None

    def put_machine(self, node: Mapping[str, Any]) -> bool:
        """Take a Node object in; tells whether anything that matters has changed."""
        machine = read_machine(node, self.rules)
        changed = self.machines.get(machine.name) != machine
        if changed:
            self.machines[machine.name] = machine
            self._lent = None
        return changed

    def drop_machine(self, name: str) -> None:
        """Forget a Node."""
        self.machines.pop(name, None)
        if self.others is not None:
            self.others = {one: held for one, held in self.others.items() if one != name}
        self._lent = None

    def put_others(self, told: Mapping[str, Held]) -> bool:
        """Take in what exporters told; of machines that told nothing, the last word counts."""
        known = self.others or {}
        others = {**known, **{name: told[name] for name in told if name in self.machines}}
        changed = others != self.others
        if changed:
            self.others, self._lent = others, None
        return changed

    def put_devices(self, devices: Mapping[str, tuple[Devices, ...]]) -> bool:
        """Take in what DRA drivers offer; tells whether that has changed."""
        changed = devices != self.devices
        if changed:
            self.devices, self._lent = devices, None
        return changed

    def inventory(self, held: Mapping[str, int]) -> Inventory:
        """Return what is lent; nothing without a policy."""
        if self.policy.spec is None:
            return Inventory()
        if self._lent is None:
            machines = [
                with_devices(machine, self.devices.get(name, ()))
                for name, machine in self.machines.items()
            ]
            lent = take_stock(machines, self.policy.spec, {}, self.others)
            unfit = self.checkpoints.unfit(len(lent.machines))
            said = (f"runs.checkpoints: {unfit}",) if unfit else ()
            self._lent = replace(lent, troubles=(*lent.troubles, *said))
        stock = {
            name: replace(gpus, held=held.get(name, 0)) for name, gpus in self._lent.stock.items()
        }
        return replace(self._lent, stock=stock, busy=self.busy)

    def readiness(self, inventory: Inventory) -> Readiness:
        """Return what speaks against running anything now."""
        ready = Readiness(
            kuberay_missing=self.kuberay.missing,
            kuberay_too_old=self.kuberay.too_old,
            resolver_missing="" if self.resolver else NO_RESOLVER,
            canary_open=self.canary.trouble,
        )
        if not inventory.full_disks:
            return ready
        return replace(
            ready,
            disk_full=f"machines {', '.join(inventory.full_disks[:5])} are out of disk; free space"
            " there",
        )
