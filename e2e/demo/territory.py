"""Where a job of the demo may run by law and data alone, read from manifests.

The report's ``allowedNodes`` and the audit check would prove little if they asked the rules that
placed or accepted the jobs. So they ask ``e2e.lawful``, which is none of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from e2e.lawful import lets_in

Manifest = Mapping[str, Any]
JURISDICTION_LABEL = "hansa.dev/jurisdiction"


def allowed_nodes(
    job: Manifest, nodes: Iterable[Manifest], policies: Mapping[str, Manifest]
) -> tuple[str, ...]:
    """Return the names of nodes that may hold ``job``.

    ``nodes``: SovereignNodes; ``policies``: node name → its MemberPolicy.
    """
    named = {node["metadata"]["name"]: node for node in nodes}
    return tuple(
        sorted(name for name, node in named.items() if _may_hold(job, node, policies[name]))
    )


def allowed_machines(
    job: Manifest, policy: Manifest, machines: Iterable[Manifest]
) -> frozenset[str]:
    """Return the names of an allowed node's machines (Kubernetes Nodes) that may run ``job``."""
    rules = _rules(job, policy)
    if rules is None:
        return frozenset()
    return frozenset(
        machine["metadata"]["name"]
        for machine in machines
        if (place := (machine["metadata"].get("labels") or {}).get(JURISDICTION_LABEL))
        and all(_lets_in(rule.get("location", {}), place) for rule in rules)
    )


def _may_hold(job: Manifest, node: Manifest, policy: Manifest) -> bool:
    rules = _rules(job, policy)
    spec = node["spec"]
    return rules is not None and all(
        _lets_in(rule.get("location", {}), spec["jurisdiction"])
        and all(_lets_in(rule.get("legalControl", {}), law) for law in spec["legalControl"])
        for rule in rules
    )


def _rules(job: Manifest, policy: Manifest) -> list[Manifest] | None:
    """Return the job's residency and that of its data; None where a data set is not held."""
    held = {dataset["name"]: dataset for dataset in policy["spec"].get("datasets", ())}
    wanted = [source["name"] for source in job["spec"].get("data", ())]
    if not set(wanted) <= set(held):
        return None
    return [job["spec"].get("residency", {}), *(held[name].get("residency", {}) for name in wanted)]


def _lets_in(rule: Manifest, jurisdiction: str) -> bool:
    return lets_in(jurisdiction, rule.get("allow") or ("World",), rule.get("deny") or ())
