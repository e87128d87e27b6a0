"""What a node's identity may do on the hub, as manifests. This is all of it.

Roles are made a node: names in RBAC cannot be patterns, and one shared role would let every node
read every other.
"""

from __future__ import annotations

from typing import Any

from hansa.api.meta import (
    GROUP,
    MANAGED_BY_LABEL,
    NODE_ACCOUNT,
    NODE_LABEL,
    NODE_NAMESPACE_PREFIX,
)
from hansa.ports import Manifest

RBAC = "rbac.authorization.k8s.io"
MANAGER = "hansa-hub"
KEY_ANNOTATION = f"{GROUP}/identity-key"
"""On a node's account: the key that its tokens were sealed to."""
QUOTA = {
    "count/leases.coordination.k8s.io": "4",
    "count/events": "1000",
    "count/events.events.k8s.io": "1000",
}
"""Most of what a node may make there; of all else it makes nothing."""


def namespace_of(node: str) -> str:
    """Return the node's namespace on the hub."""
    return NODE_NAMESPACE_PREFIX + node


def account_path(node: str) -> str:
    """Return the path of the service account that a node is."""
    return f"/api/v1/namespaces/{namespace_of(node)}/serviceaccounts/{NODE_ACCOUNT}"


def access_manifests(node: str, key: str = "") -> tuple[tuple[str, Manifest], ...]:
    """Return ``(path, manifest)`` of all objects a node needs, in the order to apply them.

    ``key``: whose tokens the account gives; an account of another key has to go first.
    """
    space = namespace_of(node)
    account = _object("v1", "ServiceAccount", NODE_ACCOUNT, node)
    account["metadata"]["annotations"] = {KEY_ANNOTATION: key}
    subject = {"kind": "ServiceAccount", "name": NODE_ACCOUNT, "namespace": space}
    roles = f"/apis/{RBAC}/v1"
    role: Manifest = _object(f"{RBAC}/v1", "Role", space, node) | {"rules": _namespace_rules()}
    cluster_role: Manifest = _object(f"{RBAC}/v1", "ClusterRole", space, node)
    cluster_role |= {"rules": _cluster_rules(node)}
    return (
        (f"/api/v1/namespaces/{space}", _object("v1", "Namespace", space, node)),
        (
            f"/api/v1/namespaces/{space}/resourcequotas/{space}",
            _object("v1", "ResourceQuota", space, node) | {"spec": {"hard": dict(QUOTA)}},
        ),
        (account_path(node), account | {"automountServiceAccountToken": False}),
        (f"{roles}/namespaces/{space}/roles/{space}", role),
        (
            f"{roles}/namespaces/{space}/rolebindings/{space}",
            _object(f"{RBAC}/v1", "RoleBinding", space, node) | _bind("Role", space, subject),
        ),
        (f"{roles}/clusterroles/{space}", cluster_role),
        (
            f"{roles}/clusterrolebindings/{space}",
            _object(f"{RBAC}/v1", "ClusterRoleBinding", space, node)
            | _bind("ClusterRole", space, subject),
        ),
    )


def access_paths(node: str) -> tuple[str, ...]:
    """Return the paths whose deletion takes a node's rights away; grants stay as evidence."""
    manifests = access_manifests(node)
    return tuple(path for path, thing in manifests if thing["apiVersion"].startswith(RBAC))


def holds(present: Any, wanted: Any) -> bool:
    """Tell whether an object says all that is wanted; the API server adds fields of its own.

    Lists are the very same: a rule that says one word more is another right.

    >>> holds({"a": 1, "b": [{"c": 2}], "uid": "x"}, {"b": [{"c": 2}]})
    True
    >>> holds({"b": [{"c": 2, "d": 3}]}, {"b": [{"c": 2}]})
    False
    """
    if not isinstance(wanted, dict):
        return bool(present == wanted)
    if not isinstance(present, dict):
        return False
    return all(name in present and holds(present[name], wanted[name]) for name in wanted)


def _object(api_version: str, kind: str, name: str, node: str) -> Manifest:
    labels = {MANAGED_BY_LABEL: MANAGER, NODE_LABEL: node}
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {"name": name, "labels": labels},
    }


def _bind(kind: str, name: str, subject: dict[str, str]) -> Manifest:
    return {"roleRef": {"apiGroup": RBAC, "kind": kind, "name": name}, "subjects": [subject]}


def _rule(group: str, resources: list[str], verbs: list[str], *names: str) -> dict[str, Any]:
    rule: dict[str, Any] = {"apiGroups": [group], "resources": resources, "verbs": verbs}
    return rule | ({"resourceNames": list(names)} if names else {})


def _namespace_rules() -> list[dict[str, Any]]:
    return [
        _rule(GROUP, ["workgrants"], ["get", "list", "watch"]),
        _rule(GROUP, ["workgrants/status"], ["get", "patch", "update"]),
        _rule("coordination.k8s.io", ["leases"], ["create", "get", "patch", "update"]),
        _rule("", ["serviceaccounts/token"], ["create"], NODE_ACCOUNT),
        _rule("", ["events"], ["create"]),
        _rule("events.k8s.io", ["events"], ["create"]),
    ]


def _cluster_rules(node: str) -> list[dict[str, Any]]:
    return [
        _rule(GROUP, ["sovereignnodes"], ["get"], node),
        _rule(GROUP, ["sovereignnodes/status"], ["get", "patch"], node),
    ]
