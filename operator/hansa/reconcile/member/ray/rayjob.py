"""The workload RayJob: KubeRay makes a Ray cluster of it, runs the job once and removes the cluster."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from hansa.api.job.ray_shape import CustomResource, WorkerGroup, Workers
from hansa.api.meta import JOB_UID_LABEL
from hansa.errors import Terminal
from hansa.grants.capacity import gpus_wanted
from hansa.model.quantities import millis, units
from hansa.ports import Manifest
from hansa.reconcile.member.end_reasons import EndReason
from hansa.reconcile.member.platform.proxy import AUTHORITY_FILE
from hansa.reconcile.member.ray import launcher, pods
from hansa.reconcile.member.ray.bad_machines import bad_machines
from hansa.reconcile.member.ray.dead_pods import autopsy
from hansa.reconcile.member.ray.diagnosis import diagnose, head_uid, missing_pods
from hansa.reconcile.member.ray.obstacles import obstacle
from hansa.reconcile.member.ray.rayjob_view import read_rayjob
from hansa.reconcile.member.run_request import RunRequest
from hansa.reconcile.member.workload import (
    Autopsy,
    Finding,
    Output,
    OutputSource,
    Rendering,
    Resource,
    Traces,
    WorkloadView,
)

DASHBOARD_PORT = 8265
TRACES_KEPT_S = 60
"""So long the pods of a run that has ended stay: their states say why. The agent removes them sooner."""
HEADROOM_CPU_MILLIS, HEADROOM_MEMORY_BYTES, HEADROOM_LIMIT_BYTES = 500, 512 << 20, 2 << 30
"""For each pod, above what it asks for: sidecars, or a larger init container than ours. What sidecars may take at most
is more than they ask for: Istio's 128Mi and 1Gi."""
KUBERAY_NAMES = ["kuberay", "kuberay-operator"]
"""Values of app.kubernetes.io/name, as KubeRay's kustomization and its chart set it."""


class RayJob:
    """Batch and fine-tuning work on a Ray cluster of its own."""

    serves = frozenset({"Batch", "FineTune"})
    resource = Resource("ray.io", "v1", "RayJob", "rayjobs")
    output_source = OutputSource("batch.kubernetes.io/job-name", "submitter", 4, launcher.MARK)
    """The submitter follows the driver's log."""

    def render(self, request: RunRequest) -> Rendering:
        """Return the RayJob, its quota, the launcher's files and KubeRay's way in."""
        files = {
            "argv.json": json.dumps(list(request.job.entrypoint)),
            "launch.py": launcher.PROGRAM,
            **dict(pods.code_files(request).values()),
        }
        if request.authorities:
            files[AUTHORITY_FILE] = request.authorities
        return Rendering(_spec(request), _quota(request), files, (_from_kuberay(request),))

    def observe(self, thing: Mapping[str, Any]) -> WorkloadView:
        """Return what KubeRay writes into a RayJob's status."""
        return read_rayjob(thing)

    def diagnose(self, end: EndReason, traces: Traces) -> Finding:
        """Return why a run really ended, or did not begin, by the states of its pods."""
        has_begun = end is not EndReason.NEVER_STARTED
        found = diagnose(end, traces) if has_begun else obstacle(traces)
        return replace(found, machines=bad_machines(found.reason, traces))

    def head(self, traces: Traces) -> str:
        """Return the UID of the Ray head: the command, and all that Ray knows of it, are in it."""
        return head_uid(traces)

    def missing(self, traces: Traces) -> int:
        """Return how many of its workers are not up, and of its head."""
        return missing_pods(traces)

    def autopsy(self, traces: Traces) -> Autopsy:
        """Return which of its pods died, and what is told of them."""
        return autopsy(traces)

    def output(self, log: str) -> Output:
        """Return the driver's last lines and the result it declared."""
        return launcher.read_output(log)


def _spec(request: RunRequest) -> Manifest:
    return {
        "entrypoint": launcher.ENTRYPOINT,
        "submissionMode": "K8sJobMode",
        "submitterPodTemplate": pods.submitter_template(request),
        "backoffLimit": 0,
        # It counts from the object's creation; the agent keeps the two clocks, this is the longest both take.
        "activeDeadlineSeconds": request.job.max_runtime_seconds
        + int(request.contract.start_limit_s),
        "shutdownAfterJobFinishes": True,
        "ttlSecondsAfterFinished": TRACES_KEPT_S,
        "rayClusterSpec": _cluster(request),
        **_packages(request),
    }


def _packages(request: RunRequest) -> Manifest:
    """Return what Ray installs on each of its pods before the job's command, and before a task, begins.

    Wheels only: what builds one is bound by no hash. KubeRay hands it on through a shell, in double quotes;
    no requirement has a character that a shell reads there. The second lock looks at every word of it.
    """
    wanted = request.job.runtime_env
    if wanted is None:
        return {}
    if request.index is None:
        raise Terminal(
            "the job installs packages, and MemberPolicy spec.packageIndex names no index"
        )
    options = (f"--index-url {request.index.url}", "--only-binary :all:", "--require-hashes")
    pip = {"packages": [*options, *wanted.requirements], "pip_check": False}
    return {"runtimeEnvYAML": json.dumps({"pip": pip})}


def _from_kuberay(request: RunRequest) -> Manifest:
    namespace = request.options.kuberay_namespace
    # KubeRay labels the pods it makes like its own: without a name, at least no other run's.
    no_run = {"matchExpressions": [{"key": JOB_UID_LABEL, "operator": "DoesNotExist"}]}
    named = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    where = named if namespace else no_run
    operator = {"key": "app.kubernetes.io/name", "operator": "In", "values": KUBERAY_NAMES}
    who = {"namespaceSelector": where, "podSelector": {"matchExpressions": [operator]}}
    return {"from": [who], "ports": [{"protocol": "TCP", "port": DASHBOARD_PORT}]}


def _quota(request: RunRequest) -> Mapping[str, str]:
    """Return a quota of the job's own pods, and of what others' webhooks may put into each.

    GPUs and pods are exact: nothing is lent beside the grant.
    """
    head, submitter = request.job.ray.head, pods.SUBMITTER_REQUESTS
    groups = [(group, count) for _, group, count in _groups(request)]
    many = sum(count for _, count in groups) + 2
    cpu = sum(max(millis(group.cpu), pods.INIT_CPU_MILLIS) * count for group, count in groups)
    memory = sum(max(units(g.memory), pods.INIT_MEMORY_BYTES) * count for g, count in groups)
    cpu += millis(head.cpu) + millis(submitter["cpu"]) + many * HEADROOM_CPU_MILLIS
    memory += units(head.memory)
    return {
        "pods": str(many),
        "requests.cpu": f"{cpu}m",
        "requests.memory": str(memory + units(submitter["memory"]) + many * HEADROOM_MEMORY_BYTES),
        "limits.memory": str(
            memory + units(pods.SUBMITTER_MEMORY_LIMIT) + many * HEADROOM_LIMIT_BYTES
        ),
        f"requests.{pods.gpu_resource(request)}": str(gpus_wanted(request.grant)),
    }


def _cluster(request: RunRequest) -> Manifest:
    ray = request.job.ray
    head = ray.head
    return {
        "rayVersion": ray.version,
        "authOptions": {"mode": "token"},
        "headGroupSpec": {
            "serviceType": "ClusterIP",
            # A head without GPUs takes no tasks: they would starve the driver.
            "rayStartParams": _start(cpus=head.cpu if head.gpus else "0", gpus=head.gpus),
            "template": pods.head_template(request),
        },
        "workerGroupSpecs": [
            _group(request, name, group, count) for name, group, count in _groups(request)
        ],
    }


def _groups(request: RunRequest) -> Iterator[tuple[str, Workers | WorkerGroup, int]]:
    """Yield name, shape and workers of each group that has some; the first is as large as granted."""
    ray = request.job.ray
    first = request.grant.workers - ray.beside
    if first:
        yield "workers", ray.workers, first
    yield from ((group.name, group, group.count) for group in ray.worker_groups)


def _group(request: RunRequest, name: str, group: Workers | WorkerGroup, count: int) -> Manifest:
    return {
        "groupName": name,
        "replicas": count,
        "minReplicas": count,
        "maxReplicas": count,
        "rayStartParams": {
            **_start(cpus=group.cpu, gpus=group.gpus),
            **_custom(group.custom_resources),
        },
        "template": pods.worker_template(request, group),
    }


def _custom(resources: Iterable[CustomResource]) -> Mapping[str, str]:
    """Return Ray's custom resources, quoted for the shell through which KubeRay hands them on.

    Their names have no character that a shell reads.
    """
    held = ", ".join(f'\\"{one.name}\\": {one.amount}' for one in resources)
    return {"resources": f'"{{{held}}}"'} if held else {}


def _start(*, cpus: str, gpus: int) -> Mapping[str, str]:
    """Return Ray's start parameters; Ray counts whole CPUs, a part of one as one."""
    return {"num-cpus": str(-(-millis(cpus) // 1000)), "num-gpus": str(gpus)}
