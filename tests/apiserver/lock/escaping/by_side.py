"""Ways out of a run by the side of what is looked at first: finalizers, bindings, types of secrets: see ``escapes``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.apiserver.crds.bases import DIGEST
from tests.apiserver.lock.escaping.by_cards import SPEC, C
from tests.apiserver.lock.kit import ADMIN, AGENT, JSON, KUBERAY, MERGE, SCHEDULER, STRATEGIC

NS = "/api/v1/namespaces/{ns}"
POD, BINDING = NS + "/pods/{head}", NS + "/pods/{head}/binding"
HOLD = {"metadata": {"finalizers": ["x.example/hold"]}}
APPLY = "application/apply-patch+yaml"
SMALLER = {"spec": {"containers": [{"name": "ray-head", "resources": {"requests": {"cpu": "1m"}}}]}}


def _scratch(size: str) -> tuple[tuple[str | int, ...], Any, str]:
    return (
        (*SPEC, "volumes", "+"),
        {"name": "extra", "emptyDir": {"sizeLimit": size}},
        "pod-volumes",
    )


BY_SHAPE: Mapping[str, tuple[tuple[str | int, ...], Any, str]] = {
    "scratch of a petabyte": _scratch("1Pi"),
    "a byte more of scratch": _scratch("17179869185"),
    "an image that climbs": (
        (*C, "image"),
        f"hansa.local/../evil.example/x@{DIGEST}",
        "image-digest",
    ),
    "an image of two lines": ((*C, "image"), f"hansa.local/x\ny@{DIGEST}", "image-digest"),
    "an image with a space": ((*C, "image"), f"hansa.local/ x@{DIGEST}", "image-digest"),
    "a finalizer": (("metadata", "finalizers"), ["x.example/hold"], "labels"),
}


def _bound(**metadata: Any) -> tuple[str, str, str, Any, str, str]:
    body = {"metadata": {"name": "{head}", **metadata}, "target": {"kind": "Node", "name": "m1"}}
    return (
        SCHEDULER,
        "POST",
        BINDING,
        {"kind": "Binding", "apiVersion": "v1", **body},
        "labels",
        JSON,
    )


def _token(user: str) -> tuple[str, str, str, Any, str, str]:
    notes = {"kubernetes.io/service-account.name": "job"}
    metadata = {"name": "lent-x", "annotations": notes}
    body = {"kind": "Secret", "apiVersion": "v1", "metadata": metadata}
    body |= {"type": "kubernetes.io/service-account-token"}
    return user, "POST", NS + "/secrets", body, "accounts", JSON


def _account(**fields: Any) -> tuple[str, str, str, Any, str, str]:
    body = {"kind": "ServiceAccount", "apiVersion": "v1", "metadata": {"name": "x"}, **fields}
    return AGENT, "POST", NS + "/serviceaccounts", body, "accounts", JSON


BY_REQUEST: Mapping[str, tuple[str, str, str, Any, str, str]] = {
    "a finalizer by KubeRay's account": (KUBERAY, "PATCH", POD, HOLD, "labels", MERGE),
    "a finalizer by the status": (ADMIN, "PATCH", POD + "/status", HOLD, "labels", MERGE),
    "a foreign label by the binding": _bound(labels={"app": "bank"}),
    "a note to others by the binding": _bound(annotations={"sidecar.istio.io/inject": "true"}),
    "its account's token as a lent secret": _token(AGENT),
    "its account's token as a secret of KubeRay's": _token(KUBERAY),
    "an account that a cloud knows": _account(
        metadata={"name": "x", "annotations": {"eks.amazonaws.com/role-arn": "arn:x"}}
    ),
    "an account with registry credentials": _account(imagePullSecrets=[{"name": "x"}]),
    "another size by an admin": (ADMIN, "PATCH", POD + "/resize", SMALLER, "accounts", STRATEGIC),
    "another size by KubeRay's account": (
        *(KUBERAY, "PATCH", POD + "/resize"),
        *(SMALLER, "accounts", STRATEGIC),
    ),
    "a machine by an old binding of the scheduler's": (
        *(SCHEDULER, "POST", NS + "/bindings"),
        {
            "kind": "Binding",
            "apiVersion": "v1",
            "metadata": {"name": "{head}"},
            "target": {"kind": "Node", "name": "m1"},
        },
        *("accounts", JSON),
    ),
    "settings by applying them": (
        *(ADMIN, "PATCH", NS + "/configmaps/x?fieldManager=x"),
        {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "x"}},
        *("accounts", APPLY),
    ),
    "all secrets deleted": (ADMIN, "DELETE", NS + "/secrets", None, "accounts", JSON),
    "a lease": (
        *(ADMIN, "POST", "/apis/coordination.k8s.io/v1/namespaces/{ns}/leases"),
        {"kind": "Lease", "apiVersion": "coordination.k8s.io/v1", "metadata": {"name": "x"}},
        *("accounts", JSON),
    ),
    "a template of claims on devices": (
        *(KUBERAY, "POST", "/apis/resource.k8s.io/v1/namespaces/{ns}/resourceclaimtemplates"),
        {
            "kind": "ResourceClaimTemplate",
            "apiVersion": "resource.k8s.io/v1",
            "metadata": {"name": "x"},
            "spec": {"spec": {"devices": {}}},
        },
        *("accounts", JSON),
    ),
    "a run whose name the server chooses": (
        *(ADMIN, "POST", "/api/v1/namespaces"),
        {
            "kind": "Namespace",
            "apiVersion": "v1",
            "metadata": {"generateName": "aij-", "labels": {"hansa.dev/job-uid": "x"}},
        },
        *("mark|pod-security", JSON),
    ),
}
"""Who, verb, path, body, the rule, and the kind of body."""
