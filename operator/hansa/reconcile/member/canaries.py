"""What each rule of the second lock must refuse: ``known_bad``.

A canary for every rule: an object that is lawful but for one fault. The agent offers them to its API
server as dry runs; a rule that was dropped, weakened or only audits admits its canary. The rules are
in the member's chart, ``templates/lock``; each refusal begins with the rule's name in brackets.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hansa.api.memberpolicy import MemberPolicySpec
from hansa.api.meta import JOB_UID_LABEL, JURISDICTION_LABEL
from hansa.ports import Manifest
from hansa.reconcile.member.platform.pod_settings import PodSettings
from hansa.reconcile.member.run_request import ACCOUNT, RUN_ROLE

NAMESPACE = "hansa-canary"
"""Marked like a run, so that the second lock can be tried there; nothing ever runs in it."""
UID = "canary"
"""Value of the mark: the canaries' namespace is marked as a run's is, and is none."""
RUN_NAME = "aij-canary"
ENFORCE = "pod-security.kubernetes.io/enforce"
IMAGE = f"canary.invalid/canary@sha256:{'0' * 64}"
POLICIES: Mapping[str, bool] = {
    "hansa-agent": False,
    "hansa-run-fences": True,
    "hansa-run-labels": False,
    "hansa-run-namespaces": False,
    "hansa-run-objects": False,
    "hansa-run-pods": True,
    "hansa-run-rayjobs": True,
    "hansa-run-services": False,
}
"""Policy → whether it reads the MemberPolicy. `make crds` gives the names to the chart."""
CONFINED = {"hansa-agent"}
"""Policies with a match condition: they are about one account."""
EVERYWHERE = {"hansa-agent", "hansa-run-namespaces"}
"""Policies that hold outside runs too."""

ENTRYPOINT = "python3 /hansa/launch.py"
"""The one the rule rayjob-life names."""
_CONTAINER_SECURITY = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
Fault = tuple[tuple[str | int, ...], Any]
"""Path into an object, and what to put there."""
_IMAGE_FIELD = ("spec", "containers", 0, "image")
_POD_FAULTS: Mapping[str, Fault] = {
    "PodSecurity": (("spec", "hostPID"), True),
    "pod-fields": (("spec", "hostname"), "canary"),
    "pod-account": (("spec", "serviceAccountName"), "default"),
    "pod-names": (("spec", "dnsPolicy"), "Default"),
    "pod-priority": (("spec", "schedulerName"), "canary"),
    "pod-platform": (("spec", "nodeSelector"), {"canary": "canary"}),
    "pod-tolerations": (("spec", "tolerations"), [{"operator": "Exists"}]),
    "pod-affinity": (
        ("spec", "affinity", "podAntiAffinity"),
        {"preferredDuringSchedulingIgnoredDuringExecution": []},
    ),
    "pod-user": (("spec", "securityContext", "supplementalGroups"), [1]),
    "pod-volumes": (("spec", "volumes", 0, "emptyDir"), {}),
    "container-fields": (("spec", "containers", 0, "tty"), True),
    "container-security": (
        ("spec", "containers", 0, "securityContext", "readOnlyRootFilesystem"),
        False,
    ),
    "container-resources": (("spec", "containers", 0, "resources"), {}),
    "container-env": (("spec", "containers", 0, "env", 0, "name"), "LD_PRELOAD"),
    "container-network": (
        ("spec", "containers", 0, "livenessProbe"),
        {"tcpSocket": {"port": 1}},
    ),
    "container-mounts": (("spec", "containers", 0, "volumeMounts", 1, "readOnly"), False),
    "jurisdiction": (("spec", "affinity"), {}),
    "image-registry": (_IMAGE_FIELD, IMAGE),
}
_SERVICE_FAULTS: Mapping[str, Fault] = {
    # Not a pod: while the switch says Stopped, another policy may refuse that first.
    "labels": (("metadata", "labels"), {"app": "canary"}),
    "service-doors": (("spec", "type"), "NodePort"),
    "service-selector": (("spec", "selector"), {"app": "canary"}),
}
_RAYJOB_FAULTS: Mapping[str, Fault] = {
    "rayjob-fields": (("spec", "clusterSelector"), {"ray.io/cluster": "canary"}),
    "rayjob-life": (("spec", "entrypoint"), "canary"),
    "rayjob-packages": (("spec", "runtimeEnvYAML"), "pip: [canary]"),
    "rayjob-cluster": (("spec", "rayClusterSpec", "headGroupSpec", "serviceType"), "NodePort"),
}
_NAMESPACE_FAULTS: Mapping[str, Fault] = {
    "mark": (("metadata", "labels"), {}),
    "namespace-labels": (("metadata", "labels", "canary"), "canary"),
    "pod-security": (("metadata", "labels", ENFORCE), "baseline"),
    "agent-place": (("metadata",), {"name": "canary"}),
}


@dataclass(frozen=True, slots=True)
class KnownBad:
    """One canary: what to create, and the rule that must refuse it."""

    rule: str
    path: str
    body: Manifest


def known_bad(law: MemberPolicySpec, settings: PodSettings | None = None) -> tuple[KnownBad, ...]:
    """Return the canaries under ``law``; ``stopped`` can be tried only while it says Stopped.

    ``settings``: what all pods of runs carry here; None: the defaults.
    """
    core, batch = f"/api/v1/namespaces/{NAMESPACE}", f"namespaces/{NAMESPACE}"
    pod, rights = (
        lawful_pod(law, settings),
        f"/apis/rbac.authorization.k8s.io/v1/{batch}/rolebindings",
    )
    networking, ray = f"/apis/networking.k8s.io/v1/{batch}", f"/apis/ray.io/v1/{batch}/rayjobs"
    # In the law's own registry, or another rule would refuse it.
    by_tag = pod["spec"]["containers"][0]["image"].partition("@")[0] + ":latest"
    found = [
        *_spoilt(f"{core}/pods", pod, {**_POD_FAULTS, "image-digest": (_IMAGE_FIELD, by_tag)}),
        *_spoilt(f"{core}/services", _service(), _SERVICE_FAULTS),
        *_spoilt(ray, _rayjob(pod), _RAYJOB_FAULTS),
        *_spoilt("/api/v1/namespaces", _namespace(), _NAMESPACE_FAULTS),
        KnownBad("accounts", f"{networking}/ingresses", _ingress()),
        KnownBad("fence", f"{networking}/networkpolicies", _open_fence()),
        KnownBad("agent-volumes", "/api/v1/persistentvolumes", _volume()),
        KnownBad("agent-rights", rights, _rights()),
    ]
    if law.switch == "Stopped":
        found.append(KnownBad("stopped", f"{core}/pods", pod))
    return tuple(found)


def lawful_pod(law: MemberPolicySpec, settings: PodSettings | None = None) -> Manifest:
    """Return a pod that every rule admits: the canaries are this pod with one fault."""
    registry = next(iter(law.image_registries), "canary.invalid/")
    slash = "" if registry.endswith("/") else "/"
    home = {"key": JURISDICTION_LABEL, "operator": "In", "values": [law.jurisdiction]}
    terms = {"nodeSelectorTerms": [{"matchExpressions": [home]}]}
    image = f"{registry}{slash}canary@sha256:{'0' * 64}"
    container = {
        "name": "canary",
        "image": image,
        "env": [{"name": "CANARY", "value": ""}],
        "resources": {"requests": {"cpu": "1m"}, "limits": {"memory": "1Mi"}},
        "volumeMounts": [
            {"name": "scratch", "mountPath": "/scratch"},
            {"name": "data", "mountPath": "/data", "readOnly": True},
        ],
        "securityContext": _CONTAINER_SECURITY,
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "canary", "labels": {JOB_UID_LABEL: UID}},
        "spec": {
            **(settings or PodSettings()).spec(image, wants_gpu=False),
            "serviceAccountName": ACCOUNT,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "dnsPolicy": "None",
            "dnsConfig": {"nameservers": ["192.0.2.1"]},
            "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}},
            "containers": [container],
            "volumes": [
                {"name": "scratch", "emptyDir": {"sizeLimit": "1Mi"}},
                {
                    "name": "data",
                    "persistentVolumeClaim": {"claimName": "canary", "readOnly": True},
                },
            ],
        },
    }


def _spoilt(path: str, lawful: Manifest, faults: Mapping[str, Fault]) -> Iterator[KnownBad]:
    for rule, ((*way, last), value) in faults.items():
        body = copy.deepcopy(lawful)
        place: Any = body
        for step in way:
            place = place[step]
        place[last] = value
        yield KnownBad(rule, path, body)


def _service() -> Manifest:
    spec = {"selector": {"ray.io/cluster": "canary"}, "ports": [{"port": 8265}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "canary"}, "spec": spec}


def _rayjob(pod: Manifest) -> Manifest:
    template = {"spec": {"containers": pod["spec"]["containers"]}}
    head = {"serviceType": "ClusterIP", "rayStartParams": {}, "template": template}
    spec = {
        "entrypoint": ENTRYPOINT,
        "submissionMode": "K8sJobMode",
        "backoffLimit": 0,
        "activeDeadlineSeconds": 1,
        "shutdownAfterJobFinishes": True,
        "rayClusterSpec": {"authOptions": {"mode": "token"}, "headGroupSpec": head},
    }
    metadata = {"name": "canary"}
    return {"apiVersion": "ray.io/v1", "kind": "RayJob", "metadata": metadata, "spec": spec}


def _namespace() -> Manifest:
    labels = {JOB_UID_LABEL: UID, ENFORCE: "restricted", f"{ENFORCE}-version": "latest"}
    metadata = {"name": RUN_NAME, "labels": labels}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def _ingress() -> Manifest:
    service = {"name": "canary", "port": {"number": 8265}}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "canary"},
        "spec": {"defaultBackend": {"service": service}},
    }


def _open_fence() -> Manifest:
    spec = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"], "egress": [{}]}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "fence"},
        "spec": spec,
    }


def _volume() -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": RUN_NAME, "labels": {JOB_UID_LABEL: UID}},
        "spec": {
            "capacity": {"storage": "1Mi"},
            "accessModes": ["ReadOnlyMany"],
            "persistentVolumeReclaimPolicy": "Retain",
            "claimRef": {"namespace": RUN_NAME, "name": "canary"},
            "hostPath": {"path": "/"},
        },
    }


def _rights() -> Manifest:
    group = "rbac.authorization.k8s.io"
    account = {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": NAMESPACE}
    return {
        "apiVersion": f"{group}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "canary"},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": RUN_ROLE},
        "subjects": [account],
    }
