"""Ways out of a run by its RayJob, each with the rule of the second lock that must stop it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

INDEX = "--index-url https://pypi.example.org:8443/root/simple"
WHEELS, HASHES = '"--only-binary :all:", "--require-hashes"', "--hash=sha256:" + "a" * 64
PINNED = f'"six==1.16.0 {HASHES}"'


def _pip(*packages: str, more: str = ', "pip_check": false') -> str:
    return f'{{"pip": {{"packages": [{", ".join(packages)}]{more}}}}}'


PACKAGES = {
    "packages as they come": "pip: [x]",
    "code by address": "working_dir: https://example.org/x.zip",
    "no package's hash": _pip(f'"{INDEX}"', WHEELS, '"six==1.16.0"'),
    "packages of any version": _pip(f'"{INDEX}"', WHEELS, f'"six>=1 {HASHES}"'),
    "a package by address": _pip(
        f'"{INDEX}"', WHEELS, f'"six @ https://example.org/six.whl {HASHES}"'
    ),
    "another index": _pip(
        '"--index-url https://pypi.example.com:8443/root/simple"', WHEELS, PINNED
    ),
    "one more index": _pip(f'"{INDEX}"', WHEELS, '"--extra-index-url https://x"', PINNED),
    "one more index behind a package": _pip(
        f'"{INDEX}"', WHEELS, f'"six==1 {HASHES} --extra-index-url https://x"'
    ),
    "sources that build themselves": _pip(f'"{INDEX}"', '"--require-hashes"', PINNED),
    "a shell in a package": _pip(f'"{INDEX}"', WHEELS, f'"six==$(id) {HASHES}"'),
    "a variable beside the packages": _pip(
        f'"{INDEX}"', WHEELS, PINNED, more=', "pip_check": false}, "env_vars": {"LD_PRELOAD": "x"'
    ),
}
CLUSTER = ("spec", "rayClusterSpec")
RAYJOBS: Mapping[str, tuple[tuple[str | int, ...], Any, str]] = {
    "an entry point of its own": (("spec", "entrypoint"), "sh", "rayjob-life"),
    "another try": (("spec", "backoffLimit"), 3, "rayjob-life"),
    "a cluster that stays": (("spec", "shutdownAfterJobFinishes"), False, "rayjob-life"),
    "no end": (("spec", "activeDeadlineSeconds"), 2_599_201, "rayjob-life"),
    "another's cluster": (("spec", "clusterSelector"), {"ray.io/cluster": "x"}, "rayjob-fields"),
    **{
        name: (("spec", "runtimeEnvYAML"), text, "rayjob-packages")
        for name, text in PACKAGES.items()
    },
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
