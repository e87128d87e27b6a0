"""Pod templates of a run: head, workers and submitter, all under Pod Security ``restricted``.

Built as data from typed fields. Values a user wrote appear only where Kubernetes treats them as
data: names of images, environment values, JSON in a ConfigMap.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from hansa.api.job.ray_shape import Resources, WorkerGroup, Workers
from hansa.api.meta import JURISDICTION_LABEL
from hansa.ports import Manifest
from hansa.reconcile.member.contracts import alive
from hansa.reconcile.member.inventory.machine import ARCHITECTURE_LABEL, kept_off
from hansa.reconcile.member.platform import checkpoints
from hansa.reconcile.member.platform.proxy import AUTHORITY_FILE
from hansa.reconcile.member.ray import launcher
from hansa.reconcile.member.run_request import ACCOUNT, RECORD, RunRequest, lent_name

GPU = "nvidia.com/gpu"
HIDING, HIDDEN = "NVIDIA_VISIBLE_DEVICES", "void"
DATA_ROOT = "/data"
SECRETS = "/secrets"
LONGEST_VOLUME = 63
HEAVIEST = 100
"""Of a wish about machines, in Kubernetes."""
SCRATCH = "scratch"
SUBMITTER_REQUESTS = {"cpu": "100m", "memory": "256Mi"}
SUBMITTER_MEMORY_LIMIT = "1Gi"
HOME = {"HOME": "/tmp", "USER": "hansa"}  # noqa: S108  # in the container
"""The user id has no entry in the image's passwd, and Ray asks for the user's name. A job may set both:
of names set twice the job's goes before these, and the platform's, which are reserved, before the job's."""
INIT_CPU_MILLIS, INIT_MEMORY_BYTES = 200, 256 << 20
"""What KubeRay 1.6 gives the init container it adds to workers."""


def head_template(request: RunRequest) -> Manifest:
    """Return the head's template."""
    head = request.job.ray.head
    return _ray_template(request, "ray-head", head, gpus=head.gpus)


def worker_template(request: RunRequest, group: Workers | WorkerGroup) -> Manifest:
    """Return the template of a group's workers."""
    return _ray_template(request, "ray-worker", group, gpus=group.gpus)


def submitter_template(request: RunRequest) -> Manifest:
    """Return the template of the pod that runs ``ray job submit`` and follows the log.

    KubeRay's sidecar mode would save this pod, but the container it adds (1.6.1) has no security
    context, so ``restricted`` refuses the whole head.
    """
    container = {
        "name": "submitter",
        "image": request.job.image,
        "imagePullPolicy": request.options.pods.image_pull_policy,
        "env": _listed({**HOME, **_gpu_env(request, gpus=0)}),
        "resources": {
            "requests": dict(SUBMITTER_REQUESTS),
            "limits": {"memory": SUBMITTER_MEMORY_LIMIT},
        },
        "volumeMounts": [{"name": SCRATCH, "mountPath": "/tmp"}],  # noqa: S108  # in the container
        "securityContext": _container_security(),
    }
    return _template(request, container, [_scratch(request)], restart="Never")


def _ray_template(request: RunRequest, name: str, resources: Resources, *, gpus: int) -> Manifest:
    requests = {"cpu": resources.cpu, "memory": resources.memory}
    limits = {"memory": resources.memory}
    if gpus:
        requests[gpu_resource(request)] = limits[gpu_resource(request)] = str(gpus)
    container: Manifest = {
        "name": name,
        "image": request.job.image,
        "imagePullPolicy": request.options.pods.image_pull_policy,
        "env": _listed(
            {
                **HOME,
                **_way_out(request),
                **_user_env(request),
                **_platform_env(request),
                **_gpu_env(request, gpus),
            }
        ),
        # No CPU limit: throttling a start-up burst costs more than it protects.
        "resources": {"requests": requests, "limits": limits},
        "volumeMounts": [
            *_mounts(),
            *_data_mounts(request),
            *_checkpoint_mounts(request),
            *_code_mounts(request),
        ],
        "livenessProbe": alive.probe(),
        "securityContext": _container_security(),
    }
    if from_env := sorted(request.secrets.keys() - _secret_files(request)):
        container["envFrom"] = [{"secretRef": {"name": lent_name(n)}} for n in from_env]
    volumes = [
        *(_scratch(request), _launcher_volume(request), alive.volume()),
        *_data_volumes(request),
        *_checkpoint_volumes(request),
        *_code_volumes(request),
    ]
    made = _template(request, container, volumes, wants_gpu=gpus > 0)
    if request.index:
        # By address: what a run with data may ask for names forwards nothing.
        alias = {"ip": request.index.address, "hostnames": [request.index.host]}
        made["spec"]["hostAliases"] = [alias]
    return made


def _template(
    request: RunRequest,
    container: Manifest,
    volumes: list[Manifest],
    *,
    restart: str = "",
    wants_gpu: bool = False,
) -> Manifest:
    settings = request.options.pods
    spec: Manifest = {
        **settings.spec(request.job.image, wants_gpu=wants_gpu),
        "serviceAccountName": ACCOUNT,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "affinity": _affinity(request, wants_gpu=wants_gpu),
        "tolerations": [one.manifest() for one in request.options.machines.tolerations],
        "containers": [container],
        "volumes": volumes,
    }
    if request.is_shut_in:
        spec |= {"dnsPolicy": "None", "dnsConfig": {"nameservers": [request.resolver]}}
    if restart:
        spec["restartPolicy"] = restart
    metadata: Manifest = {"labels": {**settings.labels, **request.pod_labels}}
    if settings.annotations:
        metadata["annotations"] = dict(settings.annotations)
    return {"metadata": metadata, "spec": spec}


def _container_security() -> Manifest:
    return {
        "runAsNonRoot": True,
        "allowPrivilegeEscalation": False,
        "privileged": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def _affinity(request: RunRequest, *, wants_gpu: bool) -> Manifest:
    expressions = [_in(JURISDICTION_LABEL, request.places)]
    expressions.append(_in(ARCHITECTURE_LABEL, (request.options.machines.architecture,)))
    expressions += kept_off()
    if wants_gpu:
        found = request.cards
        expressions += found.expressions() if found else [_in(f"{GPU}.product", ())]
    terms = {"nodeSelectorTerms": [{"matchExpressions": expressions}]}
    nodes: Manifest = {"requiredDuringSchedulingIgnoredDuringExecution": terms}
    if request.left:
        # A wish, no demand: where all room is on them, the job runs there rather than never.
        others = [_not(name) for name in request.left]
        wish = {"weight": HEAVIEST, "preference": {"matchFields": others}}
        nodes["preferredDuringSchedulingIgnoredDuringExecution"] = [wish]
    return {"nodeAffinity": nodes}


def _not(machine: str) -> Manifest:
    return {"key": "metadata.name", "operator": "NotIn", "values": [machine]}


def _in(label: str, values: tuple[str, ...]) -> Manifest:
    # An empty In is refused by the API server, which is what should happen when no place is lawful.
    return {"key": label, "operator": "In", "values": list(values)}


def _listed(env: Mapping[str, str]) -> list[Manifest]:
    return [{"name": name, "value": value} for name, value in env.items()]


def _user_env(request: RunRequest) -> dict[str, str]:
    # "$" is doubled: Kubernetes expands $(NAME), and a user's value is to arrive as written.
    return {e.name: e.value.replace("$", "$$") for e in request.job.env}


def _way_out(request: RunRequest) -> dict[str, str]:
    """Return what tells programs of the proxy: nothing where the law lets nobody out.

    The index is reached at the address that the law names: a proxy would look its name up for itself.
    """
    proxy, index = request.options.pods.proxy, request.index
    if request.policy.egress:
        return proxy.environment(launcher.FOLDER, [index.host] if index else [])
    return proxy.trust(launcher.FOLDER) if index else {}


def _gpu_env(request: RunRequest, gpus: int) -> Mapping[str, str]:
    """Return what shows the right cards: where NVIDIA's runtime is the default, all or none.

    With GPUs the device plugin names them itself, and a variable of ours would have the last word.
    """
    if not gpus:
        return {HIDING: HIDDEN}
    return request.cards.environment if request.cards else {}


def gpu_resource(request: RunRequest) -> str:
    """Return the extended resource of the run's GPUs."""
    return request.cards.resource if request.cards else GPU


def _platform_env(request: RunRequest) -> dict[str, str]:
    lent = {checkpoints.VARIABLE: checkpoints.FOLDER} if request.lending.is_lent else {}
    audit = request.job.audit
    if audit and audit.segment:
        lent["HANSA_SEGMENT"] = json.dumps(audit.segment.model_dump(mode="json", by_alias=True))
    return lent | {
        "HANSA_JOB": request.name,
        "HANSA_JOB_UID": request.grant.job.uid,
        "HANSA_EPOCH": str(request.grant.epoch),
        "HANSA_NODE": request.grant.node,
        "HANSA_DATA": DATA_ROOT,
        "HANSA_RESULT": launcher.RESULT_PATH,
        "HANSA_RESULT_MAX_BYTES": str(request.job.result.max_bytes if request.job.result else 0),
        "RAY_USAGE_STATS_ENABLED": "0",
    }


def _mounts() -> list[Manifest]:
    return [
        {"name": SCRATCH, "mountPath": "/tmp"},  # noqa: S108  # in the container
        {"name": "launcher", "mountPath": launcher.FOLDER, "readOnly": True},
        alive.mount(),
    ]


def _scratch(request: RunRequest) -> Manifest:
    return {"name": SCRATCH, "emptyDir": {"sizeLimit": request.options.pods.scratch_size}}


def _launcher_volume(request: RunRequest) -> Manifest:
    files = ("launch.py", "argv.json", *((AUTHORITY_FILE,) if request.authorities else ()))
    items = [{"key": key, "path": key} for key in files]
    return {"name": "launcher", "configMap": {"name": RECORD, "items": items}}


def _code_mounts(request: RunRequest) -> list[Manifest]:
    code = [_read_only("code", launcher.CODE)] if request.job.files else []
    names = sorted(_secret_files(request))
    secrets = (_read_only(volume_name("lent", name), f"{SECRETS}/{name}") for name in names)
    return [*code, *secrets]


def _code_volumes(request: RunRequest) -> list[Manifest]:
    """Return the volumes of the job's own files, and of secrets that it reads as files."""
    items = [{"key": key, "path": name} for name, (key, _) in code_files(request).items()]
    code = [{"name": "code", "configMap": {"name": RECORD, "items": items}}] if items else []
    lent = (
        {"name": volume_name("lent", name), "secret": {"secretName": lent_name(name)}}
        for name in sorted(_secret_files(request))
    )
    return [*code, *lent]


def code_files(request: RunRequest) -> dict[str, tuple[str, str]]:
    """Return the job's files: name in /code → (key in the record, text)."""
    return {one.name: (f"code.{i}", one.content) for i, one in enumerate(request.job.files)}


def _secret_files(request: RunRequest) -> set[str]:
    return {use.name for use in request.job.secrets if use.mode == "Files"}


def _read_only(name: str, path: str) -> Manifest:
    return {"name": name, "mountPath": path, "readOnly": True}


def _data_mounts(request: RunRequest) -> list[Manifest]:
    mounts = []
    for dataset in request.datasets:
        mount: Manifest = {
            "name": volume_name("data", dataset.name),
            "mountPath": f"{DATA_ROOT}/{dataset.name}",
            "readOnly": True,
        }
        if dataset.path.strip("/"):
            mount["subPath"] = dataset.path.strip("/")
        mounts.append(mount)
    return mounts


def _data_volumes(request: RunRequest) -> list[Manifest]:
    return [
        {
            "name": volume_name("data", dataset.name),
            "persistentVolumeClaim": {"claimName": dataset.name, "readOnly": True},
        }
        for dataset in request.datasets
    ]


def _checkpoint_mounts(request: RunRequest) -> list[Manifest]:
    mount = {"name": checkpoints.VOLUME, "mountPath": checkpoints.FOLDER}
    return [mount] if request.lending.is_lent else []


def _checkpoint_volumes(request: RunRequest) -> list[Manifest]:
    claim = {"claimName": checkpoints.CLAIM}
    volume = {"name": checkpoints.VOLUME, "persistentVolumeClaim": claim}
    return [volume] if request.lending.is_lent else []


def volume_name(kind: str, name: str) -> str:
    """Return a pod's name for the volume of a data set or a secret: within 63 characters, and no other's."""
    whole = f"{kind}-{name}"
    if len(whole) <= LONGEST_VOLUME:
        return whole
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{whole[: LONGEST_VOLUME - len(digest) - 1].rstrip('-')}-{digest}"
