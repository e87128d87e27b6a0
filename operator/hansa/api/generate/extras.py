"""What a kind needs beside its fields: columns, filters and rules over the whole object.

Kept beside ``kinds.py`` and not inside the models, because a column or a field selector says how a
person looks at a kind, not what the kind means.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from hansa.api.generate.admission import SIGNED_FIELDS
from hansa.api.meta import DNS_LABEL, Rule, rule

NAMESPACED_NAME_MAX = 52
"""A node's hub namespace is ``hansa-node-NAME`` and must fit the 63 characters of a label."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of ``kubectl get``; ``priority`` 1 shows with ``-o wide`` only."""

    name: str
    path: str
    description: str
    type: Literal["string", "integer", "date"] = "string"
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Extras:
    """Columns, selectable fields and root rules of one kind."""

    columns: tuple[Column, ...]
    rules: tuple[Rule, ...]
    selectable: tuple[str, ...] = ()
    without_defaults: frozenset[str] = field(default=frozenset())
    for_people: bool = True
    """Whether people write it, and want to be told what would be right."""


def _condition(name: str, condition: str, description: str, *, what: str = "status") -> Column:
    return Column(name, f'.status.conditions[?(@.type=="{condition}")].{what}', description)


def _wide(column: Column) -> Column:
    return Column(column.name, column.path, column.description, column.type, priority=1)


AGE = Column("Age", ".metadata.creationTimestamp", "Time since it was made.", "date")

_LABEL_NAME = rule(
    f"self.metadata.name.matches(r'{DNS_LABEL}') && size(self.metadata.name) <= 63",
    "metadata.name must be at most 63 lower case letters, digits and '-': it becomes a label value",
)

EXTRAS: dict[str, Extras] = {
    "SovereignNode": Extras(
        columns=(
            Column("Institution", ".spec.institution", "Institution that operates the node."),
            Column("Jurisdiction", ".spec.jurisdiction", "Where the league verified it stands."),
            Column("Accepted", ".spec.accepted", "The league's decision."),
            Column("Scheduling", ".spec.scheduling", "Open, Cordoned or Draining."),
            _condition("Ready", "Ready", "Whether it can take work now."),
            _condition("Reason", "Ready", "Why, in one word.", what="reason"),
            Column("Shown", ".status.assurance.level", "Assurance level that it has shown."),
            Column("Heartbeat", ".status.lastHeartbeatTime", "Last sign of life.", "date"),
            _wide(Column("Switch", ".status.switch", "The member's own switch.")),
            _wide(Column("Agent", ".status.agentVersion", "Version of the member's agent.")),
            _wide(_condition("Message", "Ready", "Why, as a sentence.", what="message")),
            AGE,
        ),
        selectable=(
            ".spec.institution",
            ".spec.jurisdiction",
            ".spec.accepted",
            ".spec.scheduling",
        ),
        rules=(
            rule(
                f"self.metadata.name.matches(r'{DNS_LABEL}')"
                f" && size(self.metadata.name) <= {NAMESPACED_NAME_MAX}",
                f"metadata.name must be at most {NAMESPACED_NAME_MAX} lower case letters, digits and"
                " '-': the node's namespace is hansa-node-NAME",
            ),
        ),
    ),
    "ComputePool": Extras(
        columns=(
            _condition("Ready", "Ready", "Whether the pool can place work."),
            Column("Nodes", ".status.nodes", "Nodes that belong and are ready.", "integer"),
            Column("GPUs", ".status.gpusTotal", "GPUs of those nodes.", "integer"),
            Column("Allocated", ".status.gpusAllocated", "GPUs held by jobs.", "integer"),
            Column("Queued", ".status.queued", "Jobs waiting.", "integer"),
            _wide(_condition("Message", "Ready", "Why, as a sentence.", what="message")),
            AGE,
        ),
        rules=(_LABEL_NAME,),
    ),
    "Project": Extras(
        columns=(
            _condition("Open", "Open", "Whether new work may start."),
            Column("Budget", ".spec.budget.limit", "The most it may cost."),
            Column("Spent", ".status.spent.amount", "What its receipts cost."),
            Column("Currency", ".spec.budget.currency", "ISO 4217 code."),
            Column("End", ".spec.end", "Nothing starts from then on."),
            _wide(Column("Purpose", ".spec.purpose", "What it is for.")),
            AGE,
        ),
        rules=(
            _LABEL_NAME,
            rule(
                "timestamp(self.spec.begin) < timestamp(self.spec.end)",
                "spec.end must be after spec.begin",
                field_path=".spec.end",
            ),
        ),
    ),
    "AIJob": Extras(
        columns=(
            Column("Pool", ".spec.pool", "Pool it runs in."),
            Column("Node", ".status.node", "Node that holds the grant."),
            _condition("Placed", "Placed", "Whether a node holds its grant."),
            _condition("Reason", "Placed", "Why, in one word.", what="reason"),
            _condition("Running", "Running", "Whether its Ray workers run."),
            _condition("Succeeded", "Succeeded", "Whether it ended well."),
            Column("Queue", ".status.queuePosition", "Jobs ahead in the pool.", "integer"),
            _wide(Column("Audit", ".status.assurance.audit", "What came of its audit.")),
            _wide(Column("Workload", ".spec.workload", "Kind of work.")),
            _wide(Column("Priority", ".spec.priority", "Higher runs first.", "integer")),
            _wide(Column("Epoch", ".status.epoch", "Grants written so far.", "integer")),
            _wide(_condition("Message", "Placed", "Why, as a sentence.", what="message")),
            AGE,
        ),
        selectable=(".spec.pool", ".spec.workload", ".spec.priority", ".status.node"),
        rules=(_LABEL_NAME,),
    ),
    "WorkGrant": Extras(
        columns=(
            Column("Node", ".spec.node", "Node the grant is for."),
            Column("Job", ".spec.job.name", "Job on the hub."),
            Column("Epoch", ".spec.epoch", "Fencing counter.", "integer"),
            _condition("Accepted", "Accepted", "Whether the member took it."),
            _condition("Reason", "Accepted", "Why, in one word.", what="reason"),
            _condition("Running", "Running", "Whether its Ray workers run."),
            _condition("Released", "Released", "Whether nothing of it runs any more."),
            _wide(Column("Workload", ".status.workload", "RayJob at the member.")),
            _wide(Column("Not-After", ".spec.notAfter", "Not to be accepted later.")),
            AGE,
        ),
        selectable=(
            ".spec.job.uid",
            ".spec.job.namespace",
            ".spec.job.name",
            ".spec.node",
            ".spec.institution",
            ".spec.epoch",
        ),
        rules=(
            rule(
                "self.metadata.name.matches('^[0-9a-f-]{36}-e[1-9][0-9]*$')"
                " && self.metadata.name.startsWith(self.spec.job.uid + '-e')"
                " && int(self.metadata.name.substring(38)) == self.spec.epoch",
                "metadata.name must be the job's uid, '-e' and the epoch: one grant an epoch",
            ),
        ),
        for_people=False,
        # Signed: a default that the API server adds would break the digest.
        without_defaults=frozenset(f".spec.{name}" for name in SIGNED_FIELDS),
    ),
    "MemberPolicy": Extras(
        columns=(
            Column("Jurisdiction", ".spec.jurisdiction", "Where the machines stand."),
            Column("Switch", ".spec.switch", "Open, Paused or Stopped."),
            _condition("Enforcing", "Enforcing", "Whether the agent enforces this generation."),
            _condition("Hub", "HubReachable", "Whether the hub answers."),
            Column("Canary", ".status.canary", "Outcome of the last trial of the second lock."),
            _wide(Column("Note", ".status.note", "What a person should know.")),
            AGE,
        ),
        rules=(
            rule(
                "self.metadata.name == 'local'",
                "metadata.name must be local: a cluster has one law, and the agent reads that one",
            ),
        ),
    ),
}
