"""A node's rights on the hub, word for word: any change to them shows here."""

import pytest

from hansa.reconcile.hub.node_access import (
    KEY_ANNOTATION,
    RBAC,
    access_manifests,
    access_paths,
    namespace_of,
)

SPACE = "hansa-node-tartu"
PATHS = {
    "Namespace": f"/api/v1/namespaces/{SPACE}",
    "ResourceQuota": f"/api/v1/namespaces/{SPACE}/resourcequotas/{SPACE}",
    "ServiceAccount": f"/api/v1/namespaces/{SPACE}/serviceaccounts/hansa-agent",
    "Role": f"/apis/{RBAC}/v1/namespaces/{SPACE}/roles/{SPACE}",
    "RoleBinding": f"/apis/{RBAC}/v1/namespaces/{SPACE}/rolebindings/{SPACE}",
    "ClusterRole": f"/apis/{RBAC}/v1/clusterroles/{SPACE}",
    "ClusterRoleBinding": f"/apis/{RBAC}/v1/clusterrolebindings/{SPACE}",
}
RULES = {
    "Role": {
        ("hansa.dev", "workgrants", ()): {"get", "list", "watch"},
        ("hansa.dev", "workgrants/status", ()): {"get", "patch", "update"},
        ("coordination.k8s.io", "leases", ()): {"create", "get", "patch", "update"},
        ("", "serviceaccounts/token", ("hansa-agent",)): {"create"},
        ("", "events", ()): {"create"},
        ("events.k8s.io", "events", ()): {"create"},
    },
    "ClusterRole": {
        ("hansa.dev", "sovereignnodes", ("tartu",)): {"get"},
        ("hansa.dev", "sovereignnodes/status", ("tartu",)): {"get", "patch"},
    },
}
RIGHTS = ("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")
BY_KIND = {
    manifest["kind"]: (path, manifest) for path, manifest in access_manifests("tartu", "KEY")
}


def test_the_order_lets_each_object_find_what_it_needs():
    assert list(BY_KIND) == list(PATHS)


@pytest.mark.parametrize("kind", PATHS)
def test_paths_and_labels(kind):
    path, manifest = BY_KIND[kind]

    assert path == PATHS[kind]
    assert manifest["apiVersion"] == (f"{RBAC}/v1" if kind in RIGHTS else "v1")
    meta = dict(manifest["metadata"])
    annotations = meta.pop("annotations", {})
    assert meta == {
        "name": "hansa-agent" if kind == "ServiceAccount" else SPACE,
        "labels": {"app.kubernetes.io/managed-by": "hansa-hub", "hansa.dev/node": "tartu"},
    }
    assert annotations == ({KEY_ANNOTATION: "KEY"} if kind == "ServiceAccount" else {})


@pytest.mark.parametrize("kind", RULES)
def test_rights(kind):
    granted = {
        (group, resource, tuple(rule.get("resourceNames", ()))): set(rule["verbs"])
        for rule in BY_KIND[kind][1]["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }

    assert granted == RULES[kind]


@pytest.mark.parametrize("kind", RULES)
def test_bindings_name_the_node_alone(kind):
    _, binding = BY_KIND[f"{kind}Binding"]

    assert binding["roleRef"] == {"apiGroup": RBAC, "kind": kind, "name": SPACE}
    account = {"kind": "ServiceAccount", "name": "hansa-agent", "namespace": SPACE}
    assert binding["subjects"] == [account]


def test_taking_the_rights_away_leaves_the_namespace_with_its_grants():
    assert access_paths("tartu") == tuple(PATHS[kind] for kind in RIGHTS)


def test_what_a_node_may_make_is_counted():
    hard = BY_KIND["ResourceQuota"][1]["spec"]["hard"]
    made = {
        resource if not group else f"{resource}.{group}"
        for (group, resource, _), verbs in RULES["Role"].items()
        if "create" in verbs and resource != "serviceaccounts/token"
    }

    assert set(hard) == {f"count/{name}" for name in made}


def test_no_two_nodes_share_an_object():
    here, there = access_manifests("tartu"), access_manifests("riga")

    assert {path for path, _ in here}.isdisjoint(path for path, _ in there)
    assert namespace_of("riga") == "hansa-node-riga"
