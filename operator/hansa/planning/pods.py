"""Pod templates of a run: head, workers and submitter, all under Pod Security ``restricted``.

Built as data from typed fields. Values a user wrote appear only where Kubernetes treats them as
data: names of images, environment values, JSON in a ConfigMap.
"""

from __future__ import annotations

from typing import Any

from hansa.api.aijob import Resources
from hansa.api.meta import JURISDICTION_LABEL
from hansa.planning import launcher
from hansa.planning.inventory import GPU, PRODUCT_LABEL
from hansa.planning.order import Order
from hansa.ports import Manifest

GRANT = "grant"
"""Name of the ConfigMap with the grant and the launcher."""
ACCOUNT = "job"
DATA_ROOT = "/data"
SCRATCH = "scratch"
SUBMITTER_REQUESTS = {"cpu": "100m", "memory": "256Mi"}
SUBMITTER_MEMORY_LIMIT = "1Gi"
INIT_CPU_MILLIS, INIT_MEMORY_BYTES = 200, 256 << 20
"""What KubeRay 1.6 gives the init container it adds to workers."""


def head_template(order: Order) -> Manifest:
    """Return the head's template; it never has GPUs."""
    return _ray_template(order, "ray-head", order.job.ray.head, gpus=0)


def worker_template(order: Order) -> Manifest:
    """Return the workers' template."""
    workers = order.job.ray.workers
    return _ray_template(order, "ray-worker", workers, gpus=workers.gpus)


def submitter_template(order: Order) -> Manifest:
    """Return the template of the pod that runs ``ray job submit`` and follows the log.

    KubeRay's sidecar mode would save this pod, but the container it adds (1.6.1) has no security
    context, so ``restricted`` refuses the whole head.
    """
    container = {
        "name": "submitter",
        "image": order.job.image,
        "imagePullPolicy": order.options.image_pull_policy,
        "env": _home(),
        "resources": {
            "requests": dict(SUBMITTER_REQUESTS),
            "limits": {"memory": SUBMITTER_MEMORY_LIMIT},
        },
        "volumeMounts": [{"name": SCRATCH, "mountPath": "/tmp"}],  # noqa: S108  # in the container
        "securityContext": _container_security(),
    }
    return _template(order, container, [_scratch(order)], restart="Never")


def _ray_template(order: Order, name: str, resources: Resources, *, gpus: int) -> Manifest:
    requests = {"cpu": resources.cpu, "memory": resources.memory}
    limits = {"memory": resources.memory}
    if gpus:
        requests[GPU] = limits[GPU] = str(gpus)
    container: Manifest = {
        "name": name,
        "image": order.job.image,
        "imagePullPolicy": order.options.image_pull_policy,
        "env": [*_user_env(order), *_home(), *_platform_env(order)],
        # No CPU limit: throttling a start-up burst costs more than it protects.
        "resources": {"requests": requests, "limits": limits},
        "volumeMounts": [*_mounts(), *_data_mounts(order)],
        "securityContext": _container_security(),
    }
    if order.secrets:
        container["envFrom"] = [
            {"secretRef": {"name": lent_name(n)}} for n in sorted(order.secrets)
        ]
    volumes = [_scratch(order), _launcher_volume(), *_data_volumes(order)]
    return _template(order, container, volumes, wants_gpu=gpus > 0)


def _template(
    order: Order,
    container: Manifest,
    volumes: list[Manifest],
    *,
    restart: str = "",
    wants_gpu: bool = False,
) -> Manifest:
    user = order.options.run_as_user
    spec: Manifest = {
        "serviceAccountName": ACCOUNT,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": order.options.termination_grace_s,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": user,
            "runAsGroup": user,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "affinity": _affinity(order, wants_gpu=wants_gpu),
        "containers": [container],
        "volumes": volumes,
    }
    if wants_gpu:
        spec["tolerations"] = [{"key": GPU, "operator": "Exists"}]
    if restart:
        spec["restartPolicy"] = restart
    return {"metadata": {"labels": order.pod_labels}, "spec": spec}


def _container_security() -> Manifest:
    return {
        "runAsNonRoot": True,
        "allowPrivilegeEscalation": False,
        "privileged": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def _affinity(order: Order, *, wants_gpu: bool) -> Manifest:
    expressions = [_in(JURISDICTION_LABEL, order.places)]
    if wants_gpu:
        expressions.append(_in(PRODUCT_LABEL, order.gpu_products))
    terms = {"nodeSelectorTerms": [{"matchExpressions": expressions}]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}


def _in(label: str, values: tuple[str, ...]) -> Manifest:
    # An empty In is refused by the API server, which is what should happen when no place is lawful.
    return {"key": label, "operator": "In", "values": list(values)}


def _home() -> list[Manifest]:
    # The user id has no entry in the image's passwd, and Ray asks for the user's name.
    return [{"name": "HOME", "value": "/tmp"}, {"name": "USER", "value": "hansa"}]  # noqa: S108


def _user_env(order: Order) -> list[Manifest]:
    # "$" is doubled: Kubernetes expands $(NAME), and a user's value is to arrive as written.
    return [{"name": e.name, "value": e.value.replace("$", "$$")} for e in order.job.env]


def _platform_env(order: Order) -> list[Manifest]:
    values: dict[str, str] = {
        "HANSA_JOB": order.name,
        "HANSA_JOB_UID": order.grant.job.uid,
        "HANSA_EPOCH": str(order.grant.epoch),
        "HANSA_NODE": order.grant.node,
        "HANSA_DATA": DATA_ROOT,
        "HANSA_RESULT": launcher.RESULT_PATH,
        "HANSA_RESULT_MAX_BYTES": str(order.job.result.max_bytes if order.job.result else 0),
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    return [{"name": name, "value": value} for name, value in values.items()]


def _mounts() -> list[Manifest]:
    return [
        {"name": SCRATCH, "mountPath": "/tmp"},  # noqa: S108  # in the container
        {"name": "launcher", "mountPath": launcher.FOLDER, "readOnly": True},
    ]


def _scratch(order: Order) -> Manifest:
    return {"name": SCRATCH, "emptyDir": {"sizeLimit": order.options.scratch_size}}


def _launcher_volume() -> Manifest:
    items = [{"key": key, "path": key} for key in ("launch.py", "argv.json")]
    return {"name": "launcher", "configMap": {"name": GRANT, "items": items}}


def data_sets(order: Order) -> list[Any]:
    """Return the policy's entries of the data sets the job reads, in the job's order, each once."""
    held = {dataset.name: dataset for dataset in order.policy.datasets}
    return [held[name] for name in dict.fromkeys(s.name for s in order.job.data)]


def _data_mounts(order: Order) -> list[Manifest]:
    mounts = []
    for dataset in data_sets(order):
        mount: Manifest = {
            "name": volume_name(dataset.name),
            "mountPath": f"{DATA_ROOT}/{dataset.name}",
            "readOnly": True,
        }
        if dataset.path.strip("/"):
            mount["subPath"] = dataset.path.strip("/")
        mounts.append(mount)
    return mounts


def _data_volumes(order: Order) -> list[Manifest]:
    return [
        {
            "name": volume_name(dataset.name),
            "persistentVolumeClaim": {"claimName": dataset.name, "readOnly": True},
        }
        for dataset in data_sets(order)
    ]


def volume_name(dataset: str) -> str:
    """Return the pod's name for a data set's volume, within 63 characters."""
    return f"data-{dataset}"[:63].rstrip("-")


def lent_name(secret: str) -> str:
    """Return the copy's name: KubeRay makes a Secret named as the cluster beside it."""
    return f"lent-{secret}"
