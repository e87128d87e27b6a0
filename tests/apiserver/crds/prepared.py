"""What has to be changed first in a manifest, so that one field of it can be tried."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from tests.apiserver.crds.bases import BASES
from tests.apiserver.crds.cases import changed, digest_of

GRANT = BASES["WorkGrant"]["spec"]


def _no_class(workers: dict, _: Any) -> None:
    del workers["gpuClass"]


def _equal_gpus(ray: dict, value: Any) -> None:
    """Let a head or a group have as many GPUs as the first group."""
    del ray["workers"]["gpuClass"]
    ray["workers"]["gpus"] = min(16, max(0, value)) if isinstance(value, int) else 1


def _head_alone(ray: dict, count: Any) -> None:
    if count == 0:
        del ray["workers"]["minCount"]
        ray["head"]["gpus"] = ray["workers"]["gpus"]


def _second_signature(spec: dict, _: Any) -> None:
    spec["signatures"].append(changed(GRANT["signatures"][0], keyId=digest_of(1)))


def _define_overlay(spec: dict, place: Any) -> None:
    if "overlays" in spec and isinstance(place, str) and place.startswith("overlay/"):
        spec["overlays"] = [{"name": place.removeprefix("overlay/") or "a", "places": ["JP"]}]


def _define_inner_overlay(spec: dict, place: Any) -> None:
    if isinstance(place, str) and place.startswith("overlay/"):
        inner = {"name": place.removeprefix("overlay/") or "a", "places": ["JP"]}
        spec["overlays"] = [*spec["overlays"], inner]


def _define_cohort(spec: dict, value: Any) -> None:
    if isinstance(value, str):
        spec["cohorts"] = [{"name": "baltic"}, {"name": value}]


LARGEST = 999_999_999


def _end_last(segment: dict, _: Any) -> None:
    segment["last"] = LARGEST


def _begin_first(segment: dict, _: Any) -> None:
    segment["first"] = 0


def _one_segment(grid: dict, _: Any) -> None:
    grid["every"] = LARGEST


def _no_checkpoints(spec: dict, _: Any) -> None:
    spec.pop("comparator", None)


PREPARE: dict[str, tuple[str, Callable[[dict, Any], None]]] = {
    ".ray.workers.gpuMemory": (".ray.workers", _no_class),
    ".ray.workers.gpus": (".ray.workers", _no_class),
    ".segment.first": (".segment", _end_last),
    ".segment.last": (".segment", _begin_first),
    ".checkpoints.steps": (".checkpoints", _one_segment),
    ".spec.result.maxBytes": (".spec", _no_checkpoints),
    ".ray.head.gpus": (".ray", _equal_gpus),
    ".ray.workerGroups[].gpus": (".ray", _equal_gpus),
    ".ray.workers.count": (".ray", _head_alone),
    ".signatures[].role": (".spec", _second_signature),
    ".institutions[].cohort": (".spec", _define_cohort),
    ".cohorts[].parent": (".spec", _define_cohort),
    ".spec.residency": (".spec", _define_overlay),
    ".spec.datasets[].residency": (".spec", _define_overlay),
    ".overlays[].places": (".spec", _define_inner_overlay),
}
"""Part of a path → (what to change first, how): fields that exclude or require each other."""


def prepared(manifest: dict, path: str, value: Any) -> dict:
    """Return a copy of ``manifest`` in which ``path`` may take ``value``."""
    out = copy.deepcopy(manifest)
    for fragment, (owner, prepare) in PREPARE.items():
        if fragment in path:
            parent = out
            for name in path[: path.index(owner) + len(owner)].strip(".").split("."):
                parent = parent[name]
            prepare(parent, value)
    return out
