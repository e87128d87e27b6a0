"""Ways out of a run by its RayJob, each with the rule of the second lock that must stop it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

CLUSTER = ("spec", "rayClusterSpec")
RAYJOBS: Mapping[str, tuple[tuple[str | int, ...], Any, str]] = {
    "an entry point of its own": (("spec", "entrypoint"), "sh", "rayjob-life"),
    "another try": (("spec", "backoffLimit"), 3, "rayjob-life"),
    "a cluster that stays": (("spec", "shutdownAfterJobFinishes"), False, "rayjob-life"),
    "no end": (("spec", "activeDeadlineSeconds"), 2_599_201, "rayjob-life"),
    "another's cluster": (("spec", "clusterSelector"), {"ray.io/cluster": "x"}, "rayjob-fields"),
    "code by address": (("spec", "runtimeEnvYAML"), "pip: [x]", "rayjob-fields"),
    "an autoscaler": ((*CLUSTER, "enableInTreeAutoscaling"), True, "rayjob-fields"),
    "an ingress to the dashboard": (
        (*CLUSTER, "headGroupSpec", "enableIngress"),
        True,
        "rayjob-fields",
    ),
    "a service of its own": (
        (*CLUSTER, "headGroupSpec", "headService"),
        {"spec": {"type": "NodePort"}},
        "rayjob-fields",
    ),
    "no token": ((*CLUSTER, "authOptions", "mode"), "disabled", "rayjob-cluster"),
    "a door to the head": (
        (*CLUSTER, "headGroupSpec", "serviceType"),
        "NodePort",
        "rayjob-cluster",
    ),
    "a start parameter": (
        (*CLUSTER, "headGroupSpec", "rayStartParams", "dashboard-host"),
        "0.0.0.0",
        "rayjob-cluster",
    ),
    "a shell in a start parameter": (
        (*CLUSTER, "headGroupSpec", "rayStartParams", "num-cpus"),
        "0; id",
        "rayjob-cluster",
    ),
    "a shell in a custom resource": (
        (*CLUSTER, "headGroupSpec", "rayStartParams", "resources"),
        '"{\\"a$(id)\\": 1}"',
        "rayjob-cluster",
    ),
}
"""What changes one thing in the RayJob that the agent renders."""
