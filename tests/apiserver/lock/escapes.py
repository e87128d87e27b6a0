"""Ways out of a run, each with the rule of the second lock that must stop it.

``PODS`` change one thing in the worker pod that KubeRay really made; ``REQUESTS`` are whole requests
under somebody's name. A path step ``+`` appends to a list. ``{ns}``, ``{head}``, ``{cluster}`` stand for
the run's namespace, its head pod and its Ray cluster.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.apiserver.crds.bases import DIGEST
from tests.apiserver.lock.escapes_by_cards import BY_CARDS, CARRIED, SPEC, TERMS, C
from tests.apiserver.lock.escapes_by_outliving import (
    BEYOND_THE_INDEX,
    BY_ALIAS,
    BY_OUTLIVING,
    INTO_A_RUN,
)
from tests.apiserver.lock.escapes_by_outliving import TERMS as TERMS_OF_A_RUN
from tests.apiserver.lock.escapes_by_side import BY_REQUEST, BY_SHAPE
from tests.apiserver.lock.kit import ADMIN, AGENT, JSON, KUBERAY, MACHINE, MERGE, STRATEGIC

EVIL = f"evil.example/x@{DIGEST}"
Step = str | int
PodEscape = tuple[tuple[Step, ...], Any, str]
"""Where, what, and the rule."""
INIT = ("spec", "initContainers", 0)
SECURITY, VOLUME = (*C, "securityContext"), ("spec", "volumes", "+")
AFFINITY = ("spec", "affinity")
PLACES = (*TERMS, 0, "matchExpressions", 0)
SOMEBODY = {"labelSelector": {"matchLabels": {"app": "x"}}, "topologyKey": "kubernetes.io/hostname"}


def _container(**fields: Any) -> dict[str, Any]:
    return {"name": "extra", "image": EVIL, "resources": {"limits": {"memory": "1Mi"}}} | fields


def _volume(**source: Any) -> dict[str, Any]:
    return {"name": "extra", **source}


PODS: Mapping[str, PodEscape] = {
    # what the machine has
    "the machine's network": ((*SPEC, "hostNetwork"), True, "pod-fields"),
    "the machine's processes": ((*SPEC, "hostPID"), True, "pod-fields"),
    "the machine's shared memory": ((*SPEC, "hostIPC"), True, "pod-fields"),
    "the machine's users": ((*SPEC, "hostUsers"), True, "pod-fields"),
    "processes of one another": ((*SPEC, "shareProcessNamespace"), True, "pod-fields"),
    "a port of the machine": (
        (*C, "ports", "+"),
        {"containerPort": 1, "hostPort": 1},
        "container-network",
    ),
    "the machine's disk": (VOLUME, _volume(hostPath={"path": "/"}), "pod-volumes"),
    "the container runtime": (
        VOLUME,
        _volume(hostPath={"path": "/run/containerd/containerd.sock"}),
        "pod-volumes",
    ),
    # privilege
    "privileged": (SECURITY, {"privileged": True}, "container-security"),
    "gaining privileges": ((*SECURITY, "allowPrivilegeEscalation"), True, "container-security"),
    "a capability": ((*SECURITY, "capabilities", "add"), ["SYS_ADMIN"], "container-security"),
    "capabilities kept": ((*SECURITY, "capabilities", "drop"), ["NET_RAW"], "container-security"),
    "a root file system to write": (
        (*SECURITY, "readOnlyRootFilesystem"),
        False,
        "container-security",
    ),
    "root by the container": ((*SECURITY, "runAsUser"), 0, "container-security"),
    "root's group by the container": ((*SECURITY, "runAsGroup"), 0, "container-security"),
    "no seccomp": ((*SECURITY, "seccompProfile", "type"), "Unconfined", "container-security"),
    "an SELinux type": ((*SECURITY, "seLinuxOptions"), {"type": "spc_t"}, "container-security"),
    "no AppArmor": ((*SECURITY, "appArmorProfile"), {"type": "Unconfined"}, "container-security"),
    "no security at all": (SECURITY, {}, "container-security"),
    "an init container with privileges": (
        (*INIT, "securityContext"),
        {"privileged": True},
        "container-security",
    ),
    "root": ((*SPEC, "securityContext", "runAsUser"), 0, "pod-user"),
    "root's group": ((*SPEC, "securityContext", "runAsGroup"), 0, "pod-user"),
    "perhaps root": ((*SPEC, "securityContext", "runAsNonRoot"), False, "pod-user"),
    "another group's files": ((*SPEC, "securityContext", "supplementalGroups"), [0], "pod-user"),
    "a volume's group": ((*SPEC, "securityContext", "fsGroup"), 0, "pod-user"),
    "a kernel setting": (
        (*SPEC, "securityContext", "sysctls"),
        [{"name": "kernel.msgmax", "value": "1"}],
        "pod-user",
    ),
    "no seccomp for the pod": (
        (*SPEC, "securityContext", "seccompProfile", "type"),
        "Unconfined",
        "pod-user",
    ),
    # identity
    "its account's token": ((*SPEC, "automountServiceAccountToken"), True, "pod-account"),
    "another account": ((*SPEC, "serviceAccountName"), "default", "pod-account"),
    "a projected token": (
        VOLUME,
        _volume(projected={"sources": [{"serviceAccountToken": {"path": "t"}}]}),
        "pod-volumes",
    ),
    "a projected secret": (
        VOLUME,
        _volume(projected={"sources": [{"secret": {"name": "x"}}]}),
        "pod-volumes",
    ),
    "a certificate": (
        VOLUME,
        _volume(
            projected={
                "sources": [
                    {
                        "podCertificate": {
                            "signerName": "x.example/y",
                            "keyType": "ED25519",
                            "credentialBundlePath": "c",
                        }
                    }
                ]
            }
        ),
        "pod-volumes",
    ),
    "registry credentials": ((*SPEC, "imagePullSecrets"), [{"name": "x"}], "pod-platform"),
    # images
    "a foreign registry": ((*C, "image"), EVIL, "image-registry"),
    "a registry that only begins alike": (
        (*C, "image"),
        f"hansa.local.evil.com/x@{DIGEST}",
        "image-registry",
    ),
    "another port of the registry": (
        (*C, "image"),
        f"hansa.local:666/x@{DIGEST}",
        "image-registry",
    ),
    "a repository that only begins alike": (
        (*C, "image"),
        f"registry.example/teamwork/x@{DIGEST}",
        "image-registry",
    ),
    "the registry as a user": (
        (*C, "image"),
        f"evil.example/hansa.local/x@{DIGEST}",
        "image-registry",
    ),
    "the registry in capitals": ((*C, "image"), f"HANSA.LOCAL/x@{DIGEST}", "image-registry"),
    "a letter that looks alike": ((*C, "image"), f"h\u0430nsa.local/x@{DIGEST}", "image-registry"),
    "the registry before an at": (
        (*C, "image"),
        f"hansa.local@evil.example/x@{DIGEST}",
        "image-digest|image-registry",
    ),
    "the registry with a scheme": (
        (*C, "image"),
        f"https://hansa.local/x@{DIGEST}",
        "image-registry",
    ),
    "no registry": ((*C, "image"), f"x@{DIGEST}", "image-registry"),
    "the registry that is meant by none": (
        (*C, "image"),
        f"docker.io/library/x@{DIGEST}",
        "image-registry",
    ),
    "a registry on the machine": ((*C, "image"), f"localhost:5000/x@{DIGEST}", "image-registry"),
    "a registry by address": ((*C, "image"), f"192.0.2.9:5000/x@{DIGEST}", "image-registry"),
    "a registry below the registry": (
        (*C, "image"),
        f"x.hansa.local/x@{DIGEST}",
        "image-registry",
    ),
    "a digest of another kind": ((*C, "image"), "hansa.local/x@md5:" + "0" * 32, "image-digest"),
    "a digest in capitals": ((*C, "image"), f"hansa.local/x@{DIGEST.upper()}", "image-digest"),
    "a digest with more behind it": ((*C, "image"), f"hansa.local/x@{DIGEST}0", "image-digest"),
    "an image by tag": ((*C, "image"), "hansa.local/ray:latest", "image-digest"),
    "an image by nothing": ((*C, "image"), "hansa.local/ray", "image-digest"),
    "a digest cut short": ((*C, "image"), "hansa.local/ray@sha256:0", "image-digest"),
    "an init container's foreign image": ((*INIT, "image"), EVIL, "image-registry"),
    "one more container": ((*SPEC, "containers", "+"), _container(), "container-security"),
    "one more init container": ((*SPEC, "initContainers", "+"), _container(), "container-security"),
    "a sidecar": ((*INIT, "restartPolicy"), "Always", "container-fields"),
    "an image volume by tag": (
        VOLUME,
        _volume(image={"reference": "evil.example/x:latest"}),
        "pod-volumes",
    ),
    "an image volume by digest": (VOLUME, _volume(image={"reference": EVIL}), "pod-volumes"),
    # data and volumes
    "data to write": ((*C, "volumeMounts", 3, "readOnly"), False, "container-mounts"),
    "a claim to write": (
        (*SPEC, "volumes", 3, "persistentVolumeClaim", "readOnly"),
        False,
        "pod-volumes",
    ),
    "another's settings": (VOLUME, _volume(configMap={"name": "kube-root-ca.crt"}), "pod-volumes"),
    "a secret not lent, as a file": (
        VOLUME,
        _volume(secret={"secretName": "other"}),
        "pod-volumes",
    ),
    "a network disk": (VOLUME, _volume(nfs={"server": "192.0.2.9", "path": "/"}), "pod-volumes"),
    "an inline driver": (VOLUME, _volume(csi={"driver": "x.example"}), "pod-volumes"),
    "a claim of its own": (
        VOLUME,
        _volume(
            ephemeral={
                "volumeClaimTemplate": {
                    "spec": {
                        "accessModes": ["ReadWriteOnce"],
                        "resources": {"requests": {"storage": "1Gi"}},
                    }
                }
            }
        ),
        "pod-volumes",
    ),
    "a repository": (
        VOLUME,
        _volume(gitRepo={"repository": "https://evil.example/x"}),
        "pod-volumes",
    ),
    "an iSCSI disk": (
        VOLUME,
        _volume(iscsi={"targetPortal": "192.0.2.9", "iqn": "iqn.2001-04.com.example:x", "lun": 0}),
        "pod-volumes",
    ),
    "the downward API": (
        VOLUME,
        _volume(
            downwardAPI={"items": [{"path": "l", "fieldRef": {"fieldPath": "metadata.labels"}}]}
        ),
        "pod-volumes",
    ),
    "scratch without end": (VOLUME, _volume(emptyDir={}), "pod-volumes"),
    "scratch whose end is 0": (VOLUME, _volume(emptyDir={"sizeLimit": "0"}), "pod-volumes"),
    "hugepages": (VOLUME, _volume(emptyDir={"medium": "HugePages", "sizeLimit": 1}), "pod-volumes"),
    "a path by a variable": (
        (*C, "volumeMounts", 0),
        {"name": "scratch", "mountPath": "/tmp", "subPathExpr": "$(HOME)"},
        "container-mounts",
    ),
    "a mount that others see": (
        (*C, "volumeMounts", 0, "mountPropagation"),
        "HostToContainer",
        "container-mounts",
    ),
    # names and the network
    "a second resolver": (
        (*SPEC, "dnsConfig", "nameservers"),
        ["10.96.0.53", "192.0.2.9"],
        "pod-names",
    ),
    "search domains": ((*SPEC, "dnsConfig", "searches"), ["evil.example"], "pod-names"),
    "resolver options": ((*SPEC, "dnsConfig", "options"), [{"name": "use-vc"}], "pod-names"),
    "the cluster's resolver, with data": ((*SPEC, "dnsPolicy"), "ClusterFirst", "pod-names"),
    "the machine's resolver": ((*SPEC, "dnsPolicy"), "Default", "pod-names"),
    "a name of its own": ((*SPEC, "hostname"), "x", "pod-fields"),
    "a domain of its own": ((*SPEC, "subdomain"), "x", "pod-fields"),
    "a name as domain": ((*SPEC, "setHostnameAsFQDN"), True, "pod-fields"),
    "service links": ((*SPEC, "enableServiceLinks"), True, "pod-names"),
    "a probe elsewhere": (
        (*C, "livenessProbe"),
        {"httpGet": {"host": "192.0.2.9", "port": 80}},
        "container-network",
    ),
    "a TCP probe": (
        (*C, "readinessProbe"),
        {"tcpSocket": {"host": "192.0.2.9", "port": 80}},
        "container-network",
    ),
    "a probe with headers": (
        (*C, "livenessProbe"),
        {"httpGet": {"port": 80, "httpHeaders": [{"name": "X", "value": "y"}]}},
        "container-network",
    ),
    "a start-up probe": (
        (*C, "startupProbe"),
        {"httpGet": {"host": "192.0.2.9", "port": 80}},
        "container-fields",
    ),
    "a hook elsewhere": (
        (*C, "lifecycle"),
        {"postStart": {"httpGet": {"host": "192.0.2.9", "port": 80}}},
        "container-fields",
    ),
    # scheduling
    "a machine by name": ((*SPEC, "nodeName"), "m1", "pod-fields"),
    "a machine by label": ((*SPEC, "nodeSelector"), {"example.org/rack": "m1"}, "pod-platform"),
    "no affinity": (AFFINITY, {}, "jurisdiction"),
    "one place too many": ((*PLACES, "values"), ["EE", "PT"], "jurisdiction"),
    "a place that only begins alike": ((*PLACES, "values"), ["EEX"], "jurisdiction"),
    "places but not": ((*PLACES, "operator"), "NotIn", "pod-affinity"),
    "a second term as a way out": (
        (*TERMS, "+"),
        {
            "matchExpressions": [
                {"key": "nvidia.com/gpu.product", "operator": "In", "values": ["x"]}
            ]
        },
        "jurisdiction",
    ),
    "a term by field": (
        (*TERMS, 0, "matchFields"),
        [{"key": "metadata.name", "operator": "In", "values": ["m1"]}],
        "pod-affinity",
    ),
    "another label": (
        (*TERMS, 0, "matchExpressions", "+"),
        {"key": "control-plane", "operator": "In", "values": [""]},
        "pod-affinity",
    ),
    "next to somebody's pod": (
        (*AFFINITY, "podAffinity"),
        {"requiredDuringSchedulingIgnoredDuringExecution": [SOMEBODY]},
        "pod-affinity",
    ),
    "away from somebody's pod": (
        (*AFFINITY, "podAntiAffinity"),
        {"requiredDuringSchedulingIgnoredDuringExecution": [SOMEBODY]},
        "pod-affinity",
    ),
    "a preference": (
        (*AFFINITY, "nodeAffinity", "preferredDuringSchedulingIgnoredDuringExecution"),
        [{"weight": 1, "preference": {"matchExpressions": [{"key": "x", "operator": "Exists"}]}}],
        "pod-affinity",
    ),
    "tolerate all": ((*SPEC, "tolerations"), [{"operator": "Exists"}], "pod-tolerations"),
    "the control plane's taint": (
        (*SPEC, "tolerations"),
        [{"key": "node-role.kubernetes.io/control-plane", "operator": "Exists"}],
        "pod-tolerations",
    ),
    "a lost machine for ever": (
        (*SPEC, "tolerations"),
        [{"key": "node.kubernetes.io/unreachable", "operator": "Exists"}],
        "pod-tolerations",
    ),
    "another scheduler": ((*SPEC, "schedulerName"), "mine", "pod-priority"),
    "the system's priority": ((*SPEC, "priorityClassName"), "system-node-critical", "pod-priority"),
    "a spread": (
        (*SPEC, "topologySpreadConstraints"),
        [
            {
                "maxSkew": 1,
                "topologyKey": "x",
                "whenUnsatisfiable": "DoNotSchedule",
                "labelSelector": {},
            }
        ],
        "pod-fields",
    ),
    "a gate": ((*SPEC, "schedulingGates"), [{"name": "x.example/y"}], "pod-fields"),
    "a readiness gate": (
        (*SPEC, "readinessGates"),
        [{"conditionType": "x.example/y"}],
        "pod-fields",
    ),
    "a runtime class": ((*SPEC, "runtimeClassName"), "host", "pod-platform"),
    # resources
    "no memory limit": (
        (*C, "resources", "limits"),
        {"nvidia.com/gpu": "1"},
        "container-resources",
    ),
    "memory limit 0": ((*C, "resources"), {"limits": {"memory": "0"}}, "container-resources"),
    "memory limit 0, with a unit": (
        (*C, "resources"),
        {"limits": {"memory": "0Gi"}},
        "container-resources",
    ),
    "another device": (
        (*C, "resources", "limits"),
        {"memory": "1Gi", "nvidia.com/gpu": "1", "x.example/device": "1"},
        "container-resources",
    ),
    "a claim on a device": (
        (*SPEC, "resourceClaims"),
        [{"name": "x", "resourceClaimName": "x"}],
        "pod-fields",
    ),
    "resources of the pod": ((*SPEC, "resources"), {"limits": {"cpu": "1"}}, "pod-fields"),
    "a deadline of its own": ((*SPEC, "activeDeadlineSeconds"), 1, "pod-fields"),
    **BY_CARDS,
    **BY_ALIAS,
    **BY_OUTLIVING,
    **BY_SHAPE,
    # variables and streams
    "a preloaded library": (
        (*C, "env", "+"),
        {"name": "LD_PRELOAD", "value": "/tmp/x.so"},
        "container-env",
    ),
    "which GPUs are cut up": (
        (*C, "env", "+"),
        {"name": "NVIDIA_MIG_CONFIG_DEVICES", "value": "all"},
        "container-env",
    ),
    "libraries bound at once": (
        (*C, "env", "+"),
        {"name": "LD_BIND_NOW", "value": "1"},
        "container-env",
    ),
    "libraries by audit": (
        (*C, "env", "+"),
        {"name": "LD_AUDIT", "value": "/tmp/x.so"},
        "container-env",
    ),
    "libraries by path": (
        (*C, "env", "+"),
        {"name": "LD_LIBRARY_PATH", "value": "/tmp"},
        "container-env",
    ),
    "a secret's value": (
        (*C, "env", "+"),
        {"name": "X", "valueFrom": {"secretKeyRef": {"name": "y", "key": "token"}}},
        "container-env",
    ),
    "a setting's value": (
        (*C, "env", "+"),
        {"name": "X", "valueFrom": {"configMapKeyRef": {"name": "y", "key": "z"}}},
        "container-env",
    ),
    "the machine's address": (
        (*C, "env", "+"),
        {"name": "X", "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}},
        "container-env",
    ),
    "all of a setting": (
        (*C, "envFrom", "+"),
        {"configMapRef": {"name": "grant"}},
        "container-env",
    ),
    "a library before all others": (
        (*C, "env", "+"),
        {"name": "NVIDIA_DRIVER_CAPABILITIES", "value": "all"},
        "container-env",
    ),
    "all of a secret not lent": (
        (*C, "envFrom", "+"),
        {"secretRef": {"name": "other"}},
        "container-env",
    ),
    "a terminal": ((*C, "tty"), True, "container-fields"),
    "an open input": ((*C, "stdin"), True, "container-fields"),
    # marks
    "a foreign label": (("metadata", "labels", "app"), "bank", "labels"),
    "another job's uid": (("metadata", "labels", "hansa.dev/job-uid"), "x", "labels"),
    "another institution": (("metadata", "labels", "hansa.dev/institution"), "x", "labels"),
    "KubeRay's operator's name": (
        ("metadata", "labels", "app.kubernetes.io/name"),
        "kuberay-operator",
        "labels",
    ),
    "an annotation for others": (
        ("metadata", "annotations"),
        {"sidecar.istio.io/inject": "true"},
        "labels",
    ),
    "no AppArmor by annotation": (
        ("metadata", "annotations"),
        {"container.apparmor.security.beta.kubernetes.io/ray-worker": "unconfined"},
        "labels|container-security",
    ),
}


def spoilt(pod: Mapping[str, Any], escape: PodEscape) -> dict[str, Any]:
    """Return the pod with the escape in it."""
    (*way, last), value, _ = escape
    made: dict[str, Any] = copy.deepcopy(dict(pod))
    place: Any = made
    for step in way:
        place = place[step] if isinstance(step, int) else place.setdefault(step, {})
    if last == "+":
        place.append(value)
    else:
        place[last] = value
    return made


@dataclass(frozen=True, slots=True)
class Request:
    """One request: who, what, and the rule that must refuse it."""

    user: str
    method: str
    path: str
    body: Any
    rule: str
    kind: str = JSON


NS = "/api/v1/namespaces/{ns}"
APPS, RAY = "/apis/apps/v1/namespaces/{ns}", "/apis/ray.io/v1/namespaces/{ns}"
NET = "/apis/networking.k8s.io/v1/namespaces/{ns}"
RBAC = "/apis/rbac.authorization.k8s.io/v1/namespaces/{ns}"
HEAD_SERVICE = NS + "/services/{cluster}-head-svc"
TEMPLATE = {
    "metadata": {"labels": {"a": "b"}},
    "spec": {"containers": [{"name": "c", "image": EVIL}]},
}
SELECTOR = {"selector": {"matchLabels": {"a": "b"}}, "template": TEMPLATE}
TO_RAY = {"selector": {"ray.io/cluster": "x"}, "ports": [{"port": 80}]}
OPEN = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"], "ingress": [{}], "egress": [{}]}
CLOSED = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
LOST = [
    {
        "key": f"node.kubernetes.io/{taint}",
        "operator": "Exists",
        "effect": "NoExecute",
        "tolerationSeconds": 300,
    }
    for taint in ("not-ready", "unreachable")
]
ROLE = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole"}


def _post(
    user: str, path: str, kind: str, rule: str, *, name: str = "x", meta: Any = None, **fields: Any
) -> Request:
    metadata = {"name": name, **(meta or {})}
    body = {"kind": kind, "apiVersion": _version(path), "metadata": metadata, **fields}
    return Request(user, "POST", path, body, rule)


def _fence(spec: Mapping[str, Any]) -> Request:
    path = NET + "/networkpolicies"
    return _post(AGENT, path, "NetworkPolicy", "fence", name="fence", spec=spec)


def _version(path: str) -> str:
    parts = path.strip("/").split("/")
    return parts[1] if parts[0] == "api" else f"{parts[1]}/{parts[2]}"


def _patch(user: str, path: str, body: Any, rule: str, *, kind: str = MERGE) -> Request:
    return Request(user, "PATCH", path, body, rule, kind)


def _delete(user: str, path: str, rule: str) -> Request:
    return Request(user, "DELETE", path, None, rule)


def _volume_of(**changes: Any) -> dict[str, Any]:
    spec = {
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadOnlyMany"],
        "persistentVolumeReclaimPolicy": "Retain",
        "claimRef": {"namespace": "aij-x", "name": "x"},
    }
    return spec | changes


def _mark(uid: str = "x", level: str = "restricted", version: str = "latest") -> dict[str, Any]:
    enforce = "pod-security.kubernetes.io/enforce"
    return {"labels": {"hansa.dev/job-uid": uid, enforce: level, f"{enforce}-version": version}}


PV, NAMESPACES = "/api/v1/persistentvolumes", "/api/v1/namespaces"
REQUESTS: Mapping[str, Request] = {
    **{name: Request(*parts) for name, parts in BY_REQUEST.items()},
    # pods, after they were made
    "another image": _patch(
        ADMIN,
        NS + "/pods/{head}",
        {"spec": {"containers": [{"name": "ray-head", "image": EVIL}]}},
        "accounts",
        kind=STRATEGIC,
    ),
    "another image by KubeRay's account": _patch(
        KUBERAY,
        NS + "/pods/{head}",
        {"spec": {"containers": [{"name": "ray-head", "image": EVIL}]}},
        "accounts",
        kind=STRATEGIC,
    ),
    "an ephemeral container": _patch(
        ADMIN,
        NS + "/pods/{head}/ephemeralcontainers",
        {"spec": {"ephemeralContainers": [{"name": "e", "image": EVIL}]}},
        "accounts",
        kind=STRATEGIC,
    ),
    "an ephemeral container by KubeRay's account": _patch(
        KUBERAY,
        NS + "/pods/{head}/ephemeralcontainers",
        {"spec": {"ephemeralContainers": [{"name": "e", "image": EVIL}]}},
        "accounts",
        kind=STRATEGIC,
    ),
    "a foreign label later": _patch(
        KUBERAY, NS + "/pods/{head}", {"metadata": {"labels": {"app": "bank"}}}, "labels"
    ),
    "a foreign label by the status": _patch(
        MACHINE, NS + "/pods/{head}/status", {"metadata": {"labels": {"app": "bank"}}}, "labels"
    ),
    "the mark taken off by the status": _patch(
        ADMIN,
        NS + "/pods/{head}/status",
        {"metadata": {"labels": {"hansa.dev/job-uid": None}}},
        "labels",
    ),
    "a label by an admin": _patch(
        ADMIN, NS + "/pods/{head}", {"metadata": {"labels": {"app": "bank"}}}, "accounts|labels"
    ),
    "a shell": Request(
        ADMIN, "POST", NS + "/pods/{head}/exec?command=id&stdout=true", None, "accounts"
    ),
    "a shell by KubeRay's account": Request(
        KUBERAY, "POST", NS + "/pods/{head}/exec?command=id&stdout=true", None, "accounts"
    ),
    "attaching": Request(ADMIN, "POST", NS + "/pods/{head}/attach?stdout=true", None, "accounts"),
    "a forwarded port": Request(
        ADMIN, "POST", NS + "/pods/{head}/portforward?ports=8265", None, "accounts"
    ),
    "the dashboard by proxy": Request(
        ADMIN, "GET", NS + "/pods/{head}:8265/proxy/", None, "accounts"
    ),
    "the dashboard by a service's proxy": Request(
        ADMIN, "GET", HEAD_SERVICE + ":8265/proxy/", None, "accounts"
    ),
    "a machine by binding": _post(
        ADMIN,
        NS + "/pods/{head}/binding",
        "Binding",
        "accounts",
        name="{head}",
        target={"kind": "Node", "name": "m1"},
    ),
    "a machine by an old binding": _post(
        ADMIN,
        NS + "/bindings",
        "Binding",
        "accounts",
        name="{head}",
        target={"kind": "Node", "name": "m1"},
    ),
    "one more toleration": _patch(
        KUBERAY,
        NS + "/pods/{head}",
        {"spec": {"tolerations": [*CARRIED, *LOST, {"operator": "Exists"}]}},
        "accounts",
        kind=STRATEGIC,
    ),
    **{
        f"its account's token by {name}": Request(
            user,
            "POST",
            NS + "/serviceaccounts/job/token",
            {
                "apiVersion": "authentication.k8s.io/v1",
                "kind": "TokenRequest",
                "metadata": {"name": "job"},
                "spec": {"audiences": ["x"]},
            },
            "accounts",
        )
        for name, user in (("an admin", ADMIN), ("a machine", MACHINE))
    },
    "external addresses for the head's service": _patch(
        KUBERAY, HEAD_SERVICE, {"spec": {"externalIPs": ["192.0.2.9"]}}, "service-doors"
    ),
    "an autoscaled size": _post(
        ADMIN,
        "/apis/autoscaling/v2/namespaces/{ns}/horizontalpodautoscalers",
        "HorizontalPodAutoscaler",
        "accounts",
        spec={
            "maxReplicas": 9,
            "scaleTargetRef": {"apiVersion": "ray.io/v1", "kind": "RayCluster", "name": "x"},
        },
    ),
    **{
        f"a RayService by {name}": _post(
            user,
            RAY + "/rayservices",
            "RayService",
            "accounts",
            spec={
                "rayClusterConfig": {"headGroupSpec": {"rayStartParams": {}, "template": TEMPLATE}}
            },
        )
        for name, user in (
            ("an admin", ADMIN),
            ("KubeRay's account", KUBERAY),
            ("the agent", AGENT),
        )
    },
    **{
        f"{name} deleted by the agent": _delete(AGENT, f"/api/v1/namespaces/{name}", "agent-place")
        for name in ("hansa-system", "kuberay-system", "hansa-canary")
    },
    # workloads by hand
    "a Deployment": _post(ADMIN, APPS + "/deployments", "Deployment", "accounts", spec=SELECTOR),
    "a DaemonSet": _post(ADMIN, APPS + "/daemonsets", "DaemonSet", "accounts", spec=SELECTOR),
    "a StatefulSet": _post(
        ADMIN,
        APPS + "/statefulsets",
        "StatefulSet",
        "accounts",
        spec={**SELECTOR, "serviceName": "x"},
    ),
    "a ReplicaSet": _post(ADMIN, APPS + "/replicasets", "ReplicaSet", "accounts", spec=SELECTOR),
    "a Job": _post(
        ADMIN,
        "/apis/batch/v1/namespaces/{ns}/jobs",
        "Job",
        "accounts",
        spec={"template": {"spec": {**TEMPLATE["spec"], "restartPolicy": "Never"}}},
    ),
    "a CronJob by KubeRay's account": _post(
        KUBERAY,
        "/apis/batch/v1/namespaces/{ns}/cronjobs",
        "CronJob",
        "accounts",
        spec={
            "schedule": "* * * * *",
            "jobTemplate": {
                "spec": {"template": {"spec": {**TEMPLATE["spec"], "restartPolicy": "Never"}}}
            },
        },
    ),
    "a RayJob by an admin": _post(
        ADMIN, RAY + "/rayjobs", "RayJob", "accounts|rayjob-life", spec={"entrypoint": "x"}
    ),
    "a RayJob by KubeRay's account": _post(
        KUBERAY, RAY + "/rayjobs", "RayJob", "accounts|rayjob-life", spec={"entrypoint": "x"}
    ),
    "a RayCluster by an admin": _post(
        ADMIN,
        RAY + "/rayclusters",
        "RayCluster",
        "accounts",
        spec={"headGroupSpec": {"rayStartParams": {}, "template": TEMPLATE}},
    ),
    "a RayCluster by the agent": _post(
        AGENT,
        RAY + "/rayclusters",
        "RayCluster",
        "accounts",
        spec={"headGroupSpec": {"rayStartParams": {}, "template": TEMPLATE}},
    ),
    "a RayCronJob": _post(
        KUBERAY,
        RAY + "/raycronjobs",
        "RayCronJob",
        "accounts",
        spec={"schedule": "* * * * *", "jobTemplate": {"entrypoint": "x"}},
    ),
    "a RayJob's end told by an admin": _patch(
        ADMIN,
        RAY + "/rayjobs/{ns}/status",
        {"status": {"dashboardURL": "evil.example"}},
        "accounts",
    ),
    "a RayJob changed by an admin": _patch(
        ADMIN, RAY + "/rayjobs/{ns}", {"spec": {"entrypoint": "x"}}, "accounts"
    ),
    "a RayCluster changed by an admin": _patch(
        ADMIN, RAY + "/rayclusters/{cluster}", {"spec": {"suspend": True}}, "accounts"
    ),
    # doors
    **{
        f"a service of type {kind}": _post(
            KUBERAY, NS + "/services", "Service", "service-doors", spec={**TO_RAY, "type": kind}
        )
        for kind in ("NodePort", "LoadBalancer")
    },
    "an external name": _post(
        KUBERAY,
        NS + "/services",
        "Service",
        "service-doors",
        spec={
            "type": "ExternalName",
            "externalName": "evil.example",
            "selector": {"ray.io/cluster": "x"},
        },
    ),
    "external addresses": _post(
        KUBERAY,
        NS + "/services",
        "Service",
        "service-doors",
        spec={**TO_RAY, "externalIPs": ["192.0.2.9"]},
    ),
    "a class of load balancer": _post(
        KUBERAY,
        NS + "/services",
        "Service",
        "service-doors",
        spec={**TO_RAY, "type": "LoadBalancer", "loadBalancerClass": "x.example/y"},
    ),
    "a service of nobody's pods": _post(
        KUBERAY, NS + "/services", "Service", "service-selector", spec={"ports": [{"port": 80}]}
    ),
    "a service for all pods": _post(
        KUBERAY,
        NS + "/services",
        "Service",
        "service-selector",
        spec={"selector": {"a": "b"}, "ports": [{"port": 80}]},
    ),
    "a service with a note to others": _post(
        KUBERAY,
        NS + "/services",
        "Service",
        "labels",
        spec=TO_RAY,
        meta={"annotations": {"external-dns.alpha.kubernetes.io/hostname": "x"}},
    ),
    "a service with a foreign label": _post(
        KUBERAY,
        NS + "/services",
        "Service",
        "labels",
        spec=TO_RAY,
        meta={"labels": {"app": "bank"}},
    ),
    "a service by an admin": _post(ADMIN, NS + "/services", "Service", "accounts", spec=TO_RAY),
    "endpoints by hand": _post(ADMIN, NS + "/endpoints", "Endpoints", "accounts", subsets=[]),
    "an endpoint slice by hand": _post(
        ADMIN,
        "/apis/discovery.k8s.io/v1/namespaces/{ns}/endpointslices",
        "EndpointSlice",
        "accounts",
        addressType="IPv4",
        endpoints=[],
    ),
    **{
        f"an Ingress by {name}": _post(
            user,
            NET + "/ingresses",
            "Ingress",
            "accounts",
            spec={"defaultBackend": {"service": {"name": "x", "port": {"number": 80}}}},
        )
        for name, user in (
            ("an admin", ADMIN),
            ("KubeRay's account", KUBERAY),
            ("the agent", AGENT),
        )
    },
    # fences
    "an open network policy": _post(
        ADMIN, NET + "/networkpolicies", "NetworkPolicy", "accounts|fence", spec=OPEN
    ),
    "an open network policy by the agent": _post(
        AGENT, NET + "/networkpolicies", "NetworkPolicy", "fence", spec=OPEN
    ),
    "an open fence by the agent": _post(
        AGENT, NET + "/networkpolicies", "NetworkPolicy", "fence", name="fence", spec=OPEN
    ),
    "a way out to anywhere": _post(
        AGENT,
        NET + "/networkpolicies",
        "NetworkPolicy",
        "fence",
        name="fence",
        spec={**CLOSED, "egress": [{"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}]},
    ),
    "a way out to every namespace": _post(
        AGENT,
        NET + "/networkpolicies",
        "NetworkPolicy",
        "fence",
        name="fence",
        spec={**CLOSED, "egress": [{"to": [{"namespaceSelector": {}}]}]},
    ),
    "a way out by any port of the resolver": _post(
        AGENT,
        NET + "/networkpolicies",
        "NetworkPolicy",
        "fence",
        name="fence",
        spec={
            **CLOSED,
            "egress": [
                {
                    "to": [
                        {
                            "namespaceSelector": {
                                "matchLabels": {"kubernetes.io/metadata.name": "kube-system"}
                            }
                        }
                    ]
                }
            ],
        },
    ),
    "a way out to other pods beside the runs' resolver": _post(
        AGENT,
        NET + "/networkpolicies",
        "NetworkPolicy",
        "fence",
        name="fence",
        spec={
            **CLOSED,
            "egress": [
                {
                    "to": [
                        {
                            "namespaceSelector": {
                                "matchLabels": {"kubernetes.io/metadata.name": "hansa-system"}
                            }
                        }
                    ],
                    "ports": [{"protocol": "UDP", "port": 53}],
                }
            ],
        },
    ),
    **{
        f"a way out {name}": _fence({**CLOSED, "egress": [rule]})
        for name, rule in BEYOND_THE_INDEX.items()
    },
    **{
        f"a way in {name}": _fence({**CLOSED, "ingress": [rule]})
        for name, rule in INTO_A_RUN.items()
    },
    **{
        f"{what}, {how}": _patch(
            user,
            f"/api/v1/namespaces/{{ns}}{sub}",
            {"metadata": {"annotations": notes}},
            "namespace-labels",
        )
        for what, notes in TERMS_OF_A_RUN.items()
        for how, user, sub in (
            ("by an admin", ADMIN, ""),
            ("by the status", ADMIN, "/status"),
            ("by KubeRay's account", KUBERAY, ""),
        )
    },
    "a way in from anywhere": _fence(
        {**CLOSED, "ingress": [{"from": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}]}
    ),
    "a fence for some pods only": _post(
        AGENT,
        NET + "/networkpolicies",
        "NetworkPolicy",
        "fence",
        name="fence",
        spec={**CLOSED, "podSelector": {"matchLabels": {"a": "b"}}},
    ),
    "a fence one way only": _post(
        AGENT,
        NET + "/networkpolicies",
        "NetworkPolicy",
        "fence",
        name="fence",
        spec={**CLOSED, "policyTypes": ["Ingress"]},
    ),
    "the fence opened": _patch(
        ADMIN, NET + "/networkpolicies/fence", {"spec": {"egress": [{}]}}, "accounts|fence"
    ),
    **{
        f"the {what} deleted by {name}": _delete(user, path, "accounts")
        for what, path in (
            ("fence", NET + "/networkpolicies/fence"),
            ("quota", NS + "/resourcequotas/size"),
            ("grant", NS + "/configmaps/grant"),
        )
        for name, user in (
            ("an admin", ADMIN),
            ("the agent", AGENT),
            ("KubeRay's account", KUBERAY),
        )
    },
    "all fences deleted": _delete(ADMIN, NET + "/networkpolicies", "accounts"),
    "the quota raised": _patch(
        ADMIN, NS + "/resourcequotas/size", {"spec": {"hard": {"pods": "900"}}}, "accounts"
    ),
    "another quota": _post(
        ADMIN, NS + "/resourcequotas", "ResourceQuota", "accounts", spec={"hard": {"pods": "0"}}
    ),
    "limits of a namespace": _post(
        ADMIN, NS + "/limitranges", "LimitRange", "accounts", spec={"limits": []}
    ),
    # what pods are fed with
    "settings": _post(ADMIN, NS + "/configmaps", "ConfigMap", "accounts", data={}),
    "a secret": _post(ADMIN, NS + "/secrets", "Secret", "accounts"),
    "a lent secret changed": _patch(
        ADMIN, NS + "/secrets/lent-token", {"metadata": {"labels": {"a": "b"}}}, "accounts"
    ),
    "a claim": _post(
        ADMIN,
        NS + "/persistentvolumeclaims",
        "PersistentVolumeClaim",
        "accounts",
        spec={"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    ),
    "an account": _post(ADMIN, NS + "/serviceaccounts", "ServiceAccount", "accounts"),
    "registry credentials of the account": _patch(
        ADMIN, NS + "/serviceaccounts/job", {"imagePullSecrets": [{"name": "x"}]}, "accounts"
    ),
    "a role": _post(ADMIN, RBAC + "/roles", "Role", "accounts", rules=[]),
    "rights for its account": _post(
        ADMIN,
        RBAC + "/rolebindings",
        "RoleBinding",
        "accounts",
        roleRef={**ROLE, "name": "cluster-admin"},
        subjects=[{"kind": "ServiceAccount", "name": "job", "namespace": "{ns}"}],
    ),
    "an account by KubeRay's account": _post(
        KUBERAY, NS + "/serviceaccounts", "ServiceAccount", "accounts"
    ),
    "a claim on a device by an admin": _post(
        ADMIN,
        "/apis/resource.k8s.io/v1/namespaces/{ns}/resourceclaims",
        "ResourceClaim",
        "accounts",
        spec={"devices": {}},
    ),
    "a disruption budget": _post(
        ADMIN,
        "/apis/policy/v1/namespaces/{ns}/poddisruptionbudgets",
        "PodDisruptionBudget",
        "accounts",
        spec={"minAvailable": 1, "selector": {}},
    ),
    # namespaces
    **{
        f"{what} {how}": _patch(
            ADMIN, f"/api/v1/namespaces/{{ns}}{sub}", {"metadata": {"labels": labels}}, rule
        )
        for how, sub in (("", ""), ("by the status", "/status"))
        for what, labels, rule in (
            (
                "Pod Security taken off",
                {"pod-security.kubernetes.io/enforce": "privileged"},
                "pod-security|namespace-labels",
            ),
            (
                "an old Pod Security",
                {"pod-security.kubernetes.io/enforce-version": "v1.0"},
                "pod-security|namespace-labels",
            ),
            ("the mark taken off", {"hansa.dev/job-uid": None}, "mark"),
            ("another mark", {"hansa.dev/job-uid": "x"}, "mark|namespace-labels"),
            ("a foreign label of the namespace", {"team": "bank"}, "namespace-labels"),
            (
                "another institution of the namespace",
                {"hansa.dev/institution": "x"},
                "namespace-labels",
            ),
        )
    },
    "the mark taken off by finalizing": Request(
        ADMIN,
        "PUT",
        "/api/v1/namespaces/{ns}/finalize",
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": "{ns}"},
            "spec": {"finalizers": []},
        },
        "mark",
    ),
    "a run by an admin": _post(ADMIN, NAMESPACES, "Namespace", "mark", name="aij-x", meta=_mark()),
    "a run's name without the mark": _post(ADMIN, NAMESPACES, "Namespace", "mark", name="aij-x"),
    "a run's mark on another namespace": _patch(
        ADMIN,
        "/api/v1/namespaces/default",
        {"metadata": {"labels": {"hansa.dev/job-uid": "x"}}},
        "mark|pod-security",
    ),
    "the canary's mark on another namespace": _patch(
        ADMIN,
        "/api/v1/namespaces/default",
        {"metadata": {"labels": {"hansa.dev/job-uid": "canary"}}},
        "mark|pod-security",
    ),
    "a run without Pod Security": _post(
        AGENT, NAMESPACES, "Namespace", "pod-security", name="aij-x", meta=_mark(level="baseline")
    ),
    "a run with an old Pod Security": _post(
        AGENT, NAMESPACES, "Namespace", "pod-security", name="aij-x", meta=_mark(version="v1.0")
    ),
    "a run with a foreign label": _post(
        AGENT,
        NAMESPACES,
        "Namespace",
        "namespace-labels",
        name="aij-x",
        meta={"labels": {**_mark()["labels"], "team": "bank"}},
    ),
    # the agent outside its runs
    "a namespace that is no run": _post(
        AGENT, NAMESPACES, "Namespace", "agent-place", name="elsewhere"
    ),
    "a pod where the canaries are": _post(
        AGENT,
        "/api/v1/namespaces/hansa-canary/pods",
        "Pod",
        "agent-place|pod-fields|accounts|PodSecurity",
        spec=TEMPLATE["spec"],
    ),
    "a pod at home": _post(
        AGENT,
        "/api/v1/namespaces/hansa-system/pods",
        "Pod",
        "agent-place|PodSecurity",
        spec=TEMPLATE["spec"],
    ),
    "a RayJob at home": _post(
        AGENT,
        "/apis/ray.io/v1/namespaces/hansa-system/rayjobs",
        "RayJob",
        "agent-place",
        spec={"entrypoint": "x"},
    ),
    "a RayJob elsewhere": _post(
        AGENT,
        "/apis/ray.io/v1/namespaces/default/rayjobs",
        "RayJob",
        "agent-place",
        spec={"entrypoint": "x"},
    ),
    "settings elsewhere": _post(
        AGENT, "/api/v1/namespaces/kube-system/configmaps", "ConfigMap", "agent-place"
    ),
    "a secret elsewhere": _post(
        AGENT, "/api/v1/namespaces/kube-system/secrets", "Secret", "agent-place"
    ),
    "a network policy elsewhere": _post(
        AGENT,
        "/apis/networking.k8s.io/v1/namespaces/default/networkpolicies",
        "NetworkPolicy",
        "agent-place",
        spec=CLOSED,
    ),
    "rights elsewhere": _post(
        AGENT,
        "/apis/rbac.authorization.k8s.io/v1/namespaces/kube-system/rolebindings",
        "RoleBinding",
        "agent-place|agent-rights",
        roleRef={**ROLE, "name": "hansa-member-run"},
        subjects=[{"kind": "ServiceAccount", "name": "hansa-member", "namespace": "hansa-system"}],
    ),
    "more rights in a run": _post(
        AGENT,
        RBAC + "/rolebindings",
        "RoleBinding",
        "agent-rights",
        roleRef={**ROLE, "name": "cluster-admin"},
        subjects=[{"kind": "ServiceAccount", "name": "hansa-member", "namespace": "hansa-system"}],
    ),
    "rights for another": _post(
        AGENT,
        RBAC + "/rolebindings",
        "RoleBinding",
        "agent-rights",
        roleRef={**ROLE, "name": "hansa-member-run"},
        subjects=[
            {
                "kind": "Group",
                "name": "system:authenticated",
                "apiGroup": "rbac.authorization.k8s.io",
            }
        ],
    ),
    "the law by the agent": _patch(
        AGENT,
        "/apis/hansa.dev/v1alpha1/memberpolicies/local",
        {"spec": {"switch": "Open"}},
        "agent-place",
    ),
    "a machine by the agent": _patch(
        AGENT,
        "/api/v1/nodes/m1",
        {"metadata": {"labels": {"hansa.dev/jurisdiction": "PT"}}},
        "agent-place",
    ),
    **{
        f"a volume {what}": _post(
            AGENT, PV, "PersistentVolume", rule, name=name, meta=meta, spec=_volume_of(**spec)
        )
        for what, name, meta, spec, rule in (
            (
                "over the machine's disk",
                "aij-x",
                _mark(),
                {"hostPath": {"path": "/"}},
                "agent-volumes",
            ),
            (
                "beside the lent folder",
                "aij-x",
                _mark(),
                {"hostPath": {"path": "/srv/data-of-others"}},
                "agent-volumes",
            ),
            (
                "above the lent folder",
                "aij-x",
                _mark(),
                {"hostPath": {"path": "/srv"}},
                "agent-volumes",
            ),
            (
                "over a network to write",
                "aij-x",
                _mark(),
                {"nfs": {"server": "192.0.2.1", "path": "/"}},
                "agent-volumes",
            ),
            (
                "that is emptied afterwards",
                "aij-x",
                _mark(),
                {
                    "nfs": {"server": "192.0.2.1", "path": "/", "readOnly": True},
                    "persistentVolumeReclaimPolicy": "Recycle",
                },
                "agent-volumes",
            ),
            (
                "to write",
                "aij-x",
                _mark(),
                {
                    "nfs": {"server": "192.0.2.1", "path": "/", "readOnly": True},
                    "accessModes": ["ReadWriteMany"],
                },
                "agent-volumes",
            ),
            (
                "for another namespace",
                "aij-x",
                _mark(),
                {
                    "nfs": {"server": "192.0.2.1", "path": "/", "readOnly": True},
                    "claimRef": {"namespace": "default", "name": "x"},
                },
                "agent-volumes",
            ),
            (
                "by another name",
                "x",
                _mark(),
                {"nfs": {"server": "192.0.2.1", "path": "/", "readOnly": True}},
                "agent-place",
            ),
            (
                "without a mark",
                "aij-x",
                {},
                {"nfs": {"server": "192.0.2.1", "path": "/", "readOnly": True}},
                "agent-place",
            ),
        )
    },
}


def filled(request: Request, **names: str) -> Iterator[Any]:
    """Yield path and body with the run's names in place."""
    yield _fill(request.path, names)
    yield _fill(request.body, names)


def _fill(thing: Any, names: Mapping[str, str]) -> Any:
    if isinstance(thing, str):
        for key, value in names.items():
            thing = thing.replace("{" + key + "}", value)
        return thing
    if isinstance(thing, dict):
        return {key: _fill(value, names) for key, value in thing.items()}
    return [_fill(value, names) for value in thing] if isinstance(thing, list) else thing
