"""What a member says of itself: to the hub in ``SovereignNode.status``, at home in its policy's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hansa.api.memberpolicy import MemberPolicySpec
from hansa.api.meta import API_VERSION
from hansa.api.residency import Residency
from hansa.api.workgrant import GRANT_FORMAT
from hansa.grants.territory import Territory
from hansa.model.times import rfc3339
from hansa.ports import Manifest
from hansa.reconcile.conditions import StatedCondition, merged
from hansa.reconcile.member.inventory.stock import Inventory, gpu_inventory, machine_shapes

MAX_REFUSALS = 64
MOST_NOTE = 1024
OWN_CONDITIONS = (
    "Enforcing",
    "HubReachable",
    "KubeRayReady",
    "ClockInSync",
    "DiskAvailable",
    "SecondLockHolds",
    "ReceiptsTaken",
    "RunsRemoved",
)
HOME_ONLY = frozenset({"RunsRemoved"})
"""Not told to the hub, which gives no work to a node with a trouble: other runs go on well."""


@dataclass(frozen=True, slots=True)
class Health:
    """Troubles by condition; an empty text is none."""

    policy: str = ""
    hub: str = ""
    kuberay: str = ""
    clock: str = ""
    disk: str = ""
    lock: str = ""
    ledger: str = ""
    removal: str = ""
    identity: str = ""
    """Told at home alone: work is taken for as long as the present token holds."""
    machines: str = ""
    """What is not lent, or not to everybody, because it is not understood. Told at home alone."""

    def conditions_at_home(self) -> list[StatedCondition]:
        """Return the member's conditions, with what only its own people can mend."""
        said = StatedCondition("IdentityRenewed", "True", "TokenHolds")
        if self.identity:
            said = StatedCondition("IdentityRenewed", "False", "RenewalRefused", self.identity)
        seen = StatedCondition("MachinesUnderstood", "True", "AllCounted")
        if self.machines:
            seen = StatedCondition("MachinesUnderstood", "False", "SomeLeftOut", self.machines)
        return [*self.conditions(), said, seen]

    def conditions(self) -> list[StatedCondition]:
        """Return the member's conditions, as the hub is told."""
        troubles = (
            *(self.policy, self.hub, self.kuberay, self.clock, self.disk, self.lock),
            *(self.ledger, self.removal),
        )
        bad = (
            *("NoUsablePolicy", "HubUnreachable", "KubeRayUnfit", "ClockSkewed", "DiskFull"),
            *("CanaryAdmitted", "LedgerBehind", "NamespaceHangs"),
        )
        good = (
            *("Enforcing", "HubAnswers", "KubeRayFound", "ClockInSync", "DiskAvailable"),
            *("CanariesDenied", "LedgerKeepsUp", "RunsRemoved"),
        )
        return [
            StatedCondition(
                kind, "False" if trouble else "True", wrong if trouble else right, trouble
            )
            for kind, trouble, wrong, right in zip(OWN_CONDITIONS, troubles, bad, good, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class Declaration:
    """Everything the member declares to its hub."""

    node: str
    policy: MemberPolicySpec | None
    generation: int
    inventory: Inventory
    health: Health
    agent_version: str
    kuberay_version: str
    release_key: str
    token_end_s: float | None = None
    unusable_data: frozenset[str] = frozenset()
    outbox: Sequence[Manifest] = ()
    """Receipts that travel, in their envelopes."""
    receipts_waiting: int = 0
    audits: Mapping[str, Any] = field(default_factory=dict)
    """Its answers to the ledger's call to auditors."""
    witness: Mapping[str, Any] = field(default_factory=dict)
    """What it cosigned of the transparency log."""
    hardware: Mapping[str, Any] = field(default_factory=dict)
    """A device's report that it has recorded."""


def node_status(said: Declaration, old: list[Mapping[str, Any]], *, now_s: float) -> Manifest:
    """Return the server-side apply of ``SovereignNode.status``; ``old``: conditions last sent."""
    status: Manifest = {
        "policyGeneration": said.generation,
        "agentVersion": said.agent_version,
        "grantFormat": GRANT_FORMAT,
        "releaseKey": said.release_key,
        "memberConditions": merged(
            old,
            [one for one in said.health.conditions() if one.type not in HOME_ONLY],
            now_s=now_s,
            generation=said.generation,
        ),
    }
    if said.outbox or said.receipts_waiting:
        status["receipts"] = {"outbox": list(said.outbox), "waiting": said.receipts_waiting}
    if said.audits:
        status["audits"] = dict(said.audits)
    if said.witness:
        status["witness"] = dict(said.witness)
    if said.hardware:
        status["hardware"] = dict(said.hardware)
    if said.kuberay_version:
        status["kuberayVersion"] = said.kuberay_version
    if said.token_end_s is not None:
        status["identityNotAfter"] = rfc3339(said.token_end_s)
    if said.policy is not None:
        status |= _declared(said, said.policy)
    return {
        "apiVersion": API_VERSION,
        "kind": "SovereignNode",
        "metadata": {"name": said.node},
        "status": status,
    }


def _declared(said: Declaration, policy: MemberPolicySpec) -> Manifest:
    ours = Territory(policy.overlays)
    held = [
        dataset
        for dataset in policy.datasets
        # What the policy itself does not understand is lent to nobody, and announced to nobody.
        if dataset.name not in said.unusable_data and not _misunderstood(dataset.residency, ours)
    ]
    return {
        "declaredJurisdiction": policy.jurisdiction,
        "declaredLegalControl": list(policy.legal_control),
        "switch": policy.switch,
        "inventory": [_wire(row) for row in gpu_inventory(said.inventory)],
        "shapes": [_wire(row) for row in machine_shapes(said.inventory)],
        "datasets": [
            {
                "name": d.name,
                "jurisdiction": d.jurisdiction,
                # The hub must not read our overlays by its own pool's.
                "residency": {
                    "location": _wire(ours.expanded(d.residency.location)),
                    "legalControl": _wire(ours.expanded(d.residency.legal_control)),
                },
            }
            for d in held
        ],
    }


def _misunderstood(residency: Residency, ours: Territory) -> list[str]:
    rules = (residency.location, residency.legal_control)
    return ours.unknown(place for rule in rules for place in (*rule.allow, *rule.deny))


def _wire(model: Any) -> Manifest:
    return dict(model.model_dump(by_alias=True, mode="json", exclude_none=True))


@dataclass(frozen=True, slots=True)
class Enforcement:
    """What the member tells its own people."""

    generation: int
    health: Health
    canary: str
    node_key_id: str
    refusals: Mapping[str, int] = field(default_factory=dict)
    last_contact_s: float | None = None
    note: str = ""


def policy_status(said: Enforcement, old: list[Mapping[str, Any]], *, now_s: float) -> Manifest:
    """Return the server-side apply of ``MemberPolicy.status``; ``old``: conditions last sent."""
    counts = sorted(said.refusals.items())[:MAX_REFUSALS]
    status: Manifest = {
        "observedGeneration": said.generation,
        "canary": said.canary,
        "nodeKeyId": said.node_key_id,
        "note": said.note[:MOST_NOTE],
        "refusals": [{"reason": reason, "count": count} for reason, count in counts],
        "conditions": merged(
            old,
            [*said.health.conditions_at_home(), _agreement(said)],
            now_s=now_s,
            generation=said.generation,
        ),
    }
    if said.last_contact_s is not None:
        status["lastHubContactTime"] = rfc3339(said.last_contact_s)
    return {
        "apiVersion": API_VERSION,
        "kind": "MemberPolicy",
        "metadata": {"name": "local"},
        "status": status,
    }


def _agreement(said: Enforcement) -> StatedCondition:
    """Return whether the hub holds something against the node, such as a dispute about where it stands."""
    if said.last_contact_s is None:
        return StatedCondition("HubAgrees", "Unknown", "NotAskedYet")
    if said.note:
        return StatedCondition("HubAgrees", "False", "HeldAgainstUs", said.note[:MOST_NOTE])
    return StatedCondition("HubAgrees", "True", "NothingHeldAgainstUs")


def hub_note(node: Mapping[str, Any]) -> str:
    """Return what the hub holds against the node, from its answer to our own declaration.

    A hub may answer anything: what is no word of it is left out.
    """
    spec, status = _object(node.get("spec")), _object(node.get("status"))
    accepted = _text(spec.get("accepted")) or "Pending"
    said = [] if accepted == "Accepted" else [f"the hub's admin decision is {accepted}"]
    conditions = status.get("conditions")
    for row in conditions if isinstance(conditions, list) else ():
        condition = _object(row)
        if condition.get("status") == "False":
            why = _text(condition.get("message")) or _text(condition.get("reason"))
            said.append(f"{_text(condition.get('type'))}: {why}")
    return "; ".join(said)[:MOST_NOTE]


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: object) -> str:
    return value[:MOST_NOTE] if isinstance(value, str) else ""
