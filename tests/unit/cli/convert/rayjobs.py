"""RayJobs to be converted, and how the tests do it."""

from __future__ import annotations

from hansa.cli.convert.rayjob import Choice, convert

IMAGE = "registry.example/lab/train@sha256:" + "a" * 64
CHOICE = Choice("gpu", ("EE",), ("EU",), image=IMAGE, ray_version="2.55.0")
SCRIPT = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "scripts"},
    "data": {"train.py": "print(1)", "other.py": "print(2)"},
}
MOUNT = {"name": "code", "mountPath": "/home/ray/samples"}
VOLUME = {"name": "code", "configMap": {"name": "scripts"}}


def pod(*, limits=None, requests=None, volumes=(), **container):
    resources = {"limits": limits or {}, "requests": requests or {}}
    one = {"name": "ray", "image": "rayproject/ray:2.55.0", "resources": resources, **container}
    return {"template": {"spec": {"containers": [one], "volumes": list(volumes)}}}


def group(replicas=2, name="small", **pod_fields):
    return {"groupName": name, "replicas": replicas, **pod(**pod_fields)}


def rayjob(head=None, groups=None, cluster=None, **spec):
    shape = {
        "rayVersion": "2.55.0",
        "headGroupSpec": head or pod(requests={"cpu": "2", "memory": "4Gi"}),
        "workerGroupSpecs": [group(requests={"cpu": 3})] if groups is None else groups,
        **(cluster or {}),
    }
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayJob",
        "metadata": {"name": "train"},
        "spec": {"entrypoint": "python train.py --lr 0.1", "rayClusterSpec": shape, **spec},
    }


def made(*documents, choice=CHOICE):
    return convert(documents, choice)[0]
