"""From an accepted grant to the objects that run it: ``render``.

One create an object and no reads: names follow from job and epoch, so a second attempt meets its
own 409. The RayJob comes last, when everything that fences it is in place.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hansa.api.meta import JOB_UID_LABEL
from hansa.model.quantities import millis, units
from hansa.ports import Manifest
from hansa.reconcile.member import data, launcher, pods
from hansa.reconcile.member.inventory import GPU
from hansa.reconcile.member.run_request import MANAGER, Creation, RunRequest

RAYJOBS = "/apis/ray.io/v1/namespaces/{}/rayjobs"
RBAC = "rbac.authorization.k8s.io"
DASHBOARD_PORT = 8265
DNS_NAMESPACE = "kube-system"
KUBERAY_NAMES = ["kuberay", "kuberay-operator"]
"""Values of app.kubernetes.io/name, as KubeRay's kustomization and its chart set it."""


def render(request: RunRequest) -> list[list[Creation]]:
    """Return the objects of a run in waves: within a wave, order does not matter.

    1. The namespace, with Pod Security. 2. What fences and feeds the job. 3. The RayJob.
    """
    core = f"/api/v1/namespaces/{request.name}"
    rights = f"/apis/{RBAC}/v1/namespaces/{request.name}/rolebindings"
    policies = f"/apis/networking.k8s.io/v1/namespaces/{request.name}/networkpolicies"
    fences = [
        Creation(f"{core}/serviceaccounts", _service_account(request)),
        Creation(rights, _own_rights(request)),
        Creation(policies, _network_policy(request)),
        Creation(f"{core}/resourcequotas", _quota(request)),
        Creation(f"{core}/configmaps", _grant_record(request)),
        *(Creation(f"{core}/secrets", _secret(request, name)) for name in sorted(request.secrets)),
        *data.volumes(request),
    ]
    return [
        [Creation("/api/v1/namespaces", _namespace(request))],
        fences,
        [Creation(RAYJOBS.format(request.name), _rayjob(request))],
    ]


def _object(api: str, kind: str, name: str, request: RunRequest, **fields: Any) -> Manifest:
    metadata = {"name": name, "labels": request.labels}
    return {"apiVersion": api, "kind": kind, "metadata": metadata, **fields}


def _namespace(request: RunRequest) -> Manifest:
    body = _object("v1", "Namespace", request.name, request)
    body["metadata"]["labels"] = request.labels | {
        "pod-security.kubernetes.io/enforce": "restricted",
        "pod-security.kubernetes.io/enforce-version": "latest",
    }
    return body


def _service_account(request: RunRequest) -> Manifest:
    return _object(
        "v1", "ServiceAccount", pods.ACCOUNT, request, automountServiceAccountToken=False
    )


def _own_rights(request: RunRequest) -> Manifest:
    """Return what lets the agent read this run's pods and logs: it can read no others."""
    account = {
        "kind": "ServiceAccount",
        "name": MANAGER,
        "namespace": request.options.agent_namespace,
    }
    role = {"apiGroup": RBAC, "kind": "ClusterRole", "name": pods.RUN_ROLE}
    return _object(f"{RBAC}/v1", "RoleBinding", "agent", request, roleRef=role, subjects=[account])


def _secret(request: RunRequest, name: str) -> Manifest:
    held = dict(request.secrets[name])
    return _object("v1", "Secret", pods.lent_name(name), request, data=held, immutable=True)


def _grant_record(request: RunRequest) -> Manifest:
    """Return the ConfigMap that lets the agent finish and report without the hub."""
    return _object(
        "v1",
        "ConfigMap",
        pods.GRANT,
        request,
        immutable=True,
        data={
            "grant.json": json.dumps(request.wire, separators=(",", ":"), sort_keys=True),
            "argv.json": json.dumps(list(request.job.entrypoint)),
            "launch.py": launcher.PROGRAM,
        },
    )


def _network_policy(request: RunRequest) -> Manifest:
    """Return one policy for all pods: what it does not list is denied, both ways."""
    spec = {
        "podSelector": {},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"from": [{"podSelector": {}}]}, _from_kuberay(request)],
        "egress": [{"to": [{"podSelector": {}}]}, _to_dns(), *_to_the_world(request)],
    }
    return _object("networking.k8s.io/v1", "NetworkPolicy", "fence", request, spec=spec)


def _from_kuberay(request: RunRequest) -> Manifest:
    namespace = request.options.kuberay_namespace
    # KubeRay labels the pods it makes like its own: without a name, at least no other run's.
    no_run = {"matchExpressions": [{"key": JOB_UID_LABEL, "operator": "DoesNotExist"}]}
    named = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    where = named if namespace else no_run
    operator = {"key": "app.kubernetes.io/name", "operator": "In", "values": KUBERAY_NAMES}
    who = {"namespaceSelector": where, "podSelector": {"matchExpressions": [operator]}}
    return {"from": [who], "ports": [{"protocol": "TCP", "port": DASHBOARD_PORT}]}


def _to_dns() -> Manifest:
    where = {"matchLabels": {"kubernetes.io/metadata.name": DNS_NAMESPACE}}
    ports = [{"protocol": protocol, "port": 53} for protocol in ("UDP", "TCP")]
    return {"to": [{"namespaceSelector": where}], "ports": ports}


def _to_the_world(request: RunRequest) -> list[Manifest]:
    rules = []
    for egress in request.policy.egress:
        rule: Manifest = {"to": [{"ipBlock": {"cidr": egress.cidr}}]}
        if egress.ports:
            rule["ports"] = [{"protocol": "TCP", "port": port} for port in egress.ports]
        rules.append(rule)
    return rules


def _quota(request: RunRequest) -> Manifest:
    """Return a quota that the job's own pods fill exactly."""
    ray, count = request.job.ray, request.grant.workers
    head, workers, submitter = ray.head, ray.workers, pods.SUBMITTER_REQUESTS
    cpu = max(millis(workers.cpu), pods.INIT_CPU_MILLIS) * count
    memory = max(units(workers.memory), pods.INIT_MEMORY_BYTES) * count
    cpu += millis(head.cpu) + millis(submitter["cpu"])
    memory += units(head.memory)
    hard = {
        "pods": str(count + 2),
        "requests.cpu": f"{cpu}m",
        "requests.memory": str(memory + units(submitter["memory"])),
        "limits.memory": str(memory + units(pods.SUBMITTER_MEMORY_LIMIT)),
        f"requests.{GPU}": str(count * workers.gpus),
    }
    return _object("v1", "ResourceQuota", "size", request, spec={"hard": hard})


def _rayjob(request: RunRequest) -> Manifest:
    spec = {
        "entrypoint": launcher.ENTRYPOINT,
        "submissionMode": "K8sJobMode",
        "submitterPodTemplate": pods.submitter_template(request),
        "backoffLimit": 0,
        "activeDeadlineSeconds": request.job.max_runtime_seconds,
        "shutdownAfterJobFinishes": True,
        "ttlSecondsAfterFinished": 0,
        "rayClusterSpec": _cluster(request),
    }
    return _object("ray.io/v1", "RayJob", request.name, request, spec=spec)


def _cluster(request: RunRequest) -> Manifest:
    ray, count = request.job.ray, request.grant.workers
    workers = {
        "groupName": "workers",
        "replicas": count,
        "minReplicas": count,
        "maxReplicas": count,
        "rayStartParams": _start(cpus=-(-millis(ray.workers.cpu) // 1000), gpus=ray.workers.gpus),
        "template": pods.worker_template(request),
    }
    return {
        "rayVersion": ray.version,
        "authOptions": {"mode": "token"},
        "headGroupSpec": {
            "serviceType": "ClusterIP",
            "rayStartParams": _start(cpus=0, gpus=0),
            "template": pods.head_template(request),
        },
        "workerGroupSpecs": [workers],
    }


def _start(*, cpus: int, gpus: int) -> Mapping[str, str]:
    """Return Ray's start parameters. The head takes no tasks: it would starve the driver."""
    return {"num-cpus": str(cpus), "num-gpus": str(gpus)}
