"""What a run is made of, as the tests look at it."""

from __future__ import annotations

from hansa.reconcile.member.ray.rayjob import RayJob
from hansa.reconcile.member.run_namespace import waves
from tests.unit.reconcile.member.run_request_kit import request


def bodies(made=None):
    return [creation.body for wave in waves(made or request(), RayJob()) for creation in wave]


def rendered(made=None):
    return {body["kind"]: body for body in bodies(made)}


def pods(made=None):
    spec = rendered(made)["RayJob"]["spec"]
    cluster = spec["rayClusterSpec"]
    return {
        "head": cluster["headGroupSpec"]["template"],
        "worker": cluster["workerGroupSpecs"][0]["template"],
        "submitter": spec["submitterPodTemplate"],
    }
