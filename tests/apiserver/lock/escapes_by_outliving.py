"""Ways out of a run by outliving its end, and by the index of packages that the law names: see ``escapes``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.apiserver.lock.escapes_by_cards import SPEC, C

PROBE = {"exec": {"command": ["true"]}, "terminationGracePeriodSeconds": 86_400}


def _variable(name: str) -> tuple[tuple[str | int, ...], Any, str]:
    return (*C, "env", "+"), {"name": name, "value": "all"}, "container-env"


BY_OUTLIVING: Mapping[str, tuple[tuple[str | int, ...], Any, str]] = {
    "a day to end": ((*SPEC, "terminationGracePeriodSeconds"), 86_400, "pod-platform"),
    "a second more to end": ((*SPEC, "terminationGracePeriodSeconds"), 11, "pod-platform"),
    "a day to end after its probe failed": ((*C, "livenessProbe"), PROBE, "pod-platform"),
    **{
        f"cards by {name}": _variable(f"{name}_VISIBLE_DEVICES")
        for name in ("AMD", "HABANA", "ASCEND", "MELLANOX", "HIP")
    },
    "the loader's settings": _variable("GLIBC_TUNABLES"),
    "the loader's modules": _variable("GCONV_PATH"),
    # shapes that Kubernetes has got since, or that nobody had tried
    "another name for the host": ((*SPEC, "hostnameOverride"), "x", "pod-fields"),
    "resources of the pod": (
        (*SPEC, "resources"),
        {"limits": {"memory": "1Ti", "cpu": "1"}},
        "pod-fields",
    ),
    "its own deadline": ((*SPEC, "activeDeadlineSeconds"), 1, "pod-fields"),
    "the machine's kind": ((*SPEC, "os"), {"name": "linux"}, "pod-fields"),
    "a variable from a file": (
        (*C, "env", "+"),
        {
            "name": "X",
            "valueFrom": {"fileKeyRef": {"volumeName": "scratch", "path": "x", "key": "k"}},
        },
        "container-env",
    ),
    "a prefix before a lent secret": (
        (*C, "envFrom", "+"),
        {"prefix": "LD_", "secretRef": {"name": "lent-token"}},
        "container-env",
    ),
    "the machine's metadata by a probe": (
        (*C, "readinessProbe"),
        {"httpGet": {"host": "169.254.169.254", "port": 80, "path": "/latest/meta-data"}},
        "container-network",
    ),
    "a folder by another": (
        (*SPEC, "securityContext", "fsGroupChangePolicy"),
        "Always",
        "pod-user",
    ),
    "groups by the image": (
        (*SPEC, "securityContext", "supplementalGroupsPolicy"),
        "Merge",
        "pod-user",
    ),
}

OPERATOR = {"key": "app.kubernetes.io/name", "operator": "In", "values": ["kuberay-operator"]}
ANY = {"matchExpressions": [{"key": "x", "operator": "DoesNotExist"}]}
NO_RUN = {"matchExpressions": [{"key": "hansa.dev/job-uid", "operator": "DoesNotExist"}]}
OURS = {"matchExpressions": [{**OPERATOR, "values": ["kuberay", "kuberay-operator"]}]}
DASHBOARD = [{"protocol": "TCP", "port": 8265}]
INTO_A_RUN: Mapping[str, Any] = {
    "for all pods but a few": {
        "from": [{"namespaceSelector": NO_RUN, "podSelector": ANY}],
        "ports": DASHBOARD,
    },
    "from other runs": {
        "from": [{"namespaceSelector": {}, "podSelector": OURS}],
        "ports": DASHBOARD,
    },
    "from some namespaces": {
        "from": [{"namespaceSelector": ANY, "podSelector": OURS}],
        "ports": DASHBOARD,
    },
    "for KubeRay's operator by every port": {
        "from": [{"namespaceSelector": NO_RUN, "podSelector": OURS}]
    },
}
"""Rules of a fence's ingress that open a run to more than KubeRay's operator and its dashboard's port."""

TERMS: Mapping[str, Mapping[str, str | None]] = {
    "a longer time to run": {"hansa.dev/max-runtime-seconds": "99999999"},
    "a longer time without the hub": {"hansa.dev/unattended-limit-seconds": "99999999"},
    "a grant that is to come": {"hansa.dev/granted-at": "9999-01-01T00:00:00Z"},
    "no time to start": {"hansa.dev/start-limit-seconds": None},
}
"""Annotations of a run's namespace by which guard and agent would judge it."""

ALIASES = (*SPEC, "hostAliases")
BY_ALIAS: Mapping[str, tuple[tuple[str | int, ...], Any, str]] = {
    "host aliases": (
        ALIASES,
        [{"ip": "192.0.2.9", "hostnames": ["pypi.example.org"]}],
        "pod-names",
    ),
    "another name of the index": (
        ALIASES,
        [{"ip": "192.0.2.7", "hostnames": ["pypi.example.org", "x"]}],
        "pod-names",
    ),
}


def _to(network: str, *ports: int) -> dict[str, Any]:
    to = {"to": [{"ipBlock": {"cidr": network}}]}
    return to | {"ports": [{"protocol": "TCP", "port": port} for port in ports]} if ports else to


BEYOND_THE_INDEX = {
    "to all of the index's machine": _to("192.0.2.7/32"),
    "to another port of the index": _to("192.0.2.7/32", 22),
    "to the index's port and another": _to("192.0.2.7/32", 8443, 22),
    "to the index's neighbours": _to("192.0.2.0/24", 8443),
}
