"""Where a job may run by law and data alone, computed apart from the planner.

Uses the member's set-based evaluation, so the report's ``allowedNodes`` and the audit check do not
depend on the code that placed the jobs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hansa.api.residency import Residency
from hansa.grants.territory import Territory

Manifest = Mapping[str, Any]


def allowed_nodes(
    job: Manifest, nodes: Iterable[Manifest], policies: Mapping[str, Manifest]
) -> tuple[str, ...]:
    """Return the names of nodes that may hold ``job``.

    ``nodes``: SovereignNodes; ``policies``: node name → its MemberPolicy.
    """
    named = {node["metadata"]["name"]: node for node in nodes}
    return tuple(sorted(name for name, node in named.items() if _may_hold(job, node, policies)))


def _may_hold(job: Manifest, node: Manifest, policies: Mapping[str, Manifest]) -> bool:
    rules = [Residency.model_validate(job["spec"].get("residency", {}))]
    held = {d["name"]: d for d in policies[node["metadata"]["name"]]["spec"].get("datasets", ())}
    for source in job["spec"].get("data", ()):
        if source["name"] not in held:
            return False
        rules.append(Residency.model_validate(held[source["name"]].get("residency", {})))
    return all(_passes(rule, node["spec"]) for rule in rules)


def _passes(rule: Residency, node: Mapping[str, Any]) -> bool:
    territory = Territory()
    if territory.objection(rule.location, node["jurisdiction"]):
        return False
    return not any(territory.objection(rule.legal_control, law) for law in node["legalControl"])
