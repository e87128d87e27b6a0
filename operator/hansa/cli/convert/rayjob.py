"""An AIJob of a RayJob, a RayCronJob or, with an entrypoint, a RayCluster; every field dropped is named."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import yaml
from pydantic import ValidationError

from hansa.api.aijob import LONGEST_RUNTIME_S, AIJobSpec, is_reserved_env
from hansa.api.job.packages import RuntimeEnv
from hansa.api.job.retry import MOST_RETRIES, RETRIES, Cause
from hansa.api.meta import DIGEST_IMAGE, GROUP, LONGEST_NAME, VERSION
from hansa.api.texts import first_fault
from hansa.cli.convert.beside import notes_beside
from hansa.cli.convert.pods import Contents, is_settable, take_contents, take_shape
from hansa.cli.convert.shape import RESOURCES, gang_of, take_group
from hansa.cli.convert.taking import Note, Taking, whole
from hansa.cli.documents import read_one
from hansa.errors import Terminal
from hansa.ports import Manifest

SPEC = {"RayJob": "spec", "RayCronJob": "spec.jobTemplate", "RayCluster": ""}
"""Kind → where the job's spec stands; a RayCluster has none."""
SHELL = re.compile(r"[;&|<>`$()*?~\[{#\n]|^\w+=")
INSTALLERS = ("pip", "uv")
OPTIONS = {
    "ray.version": "--ray-version VERSION, the Ray in the image",
    "residency.location": "--location PLACE",
    "residency.legalControl": "--legal-control PLACE",
    "pool": "--pool NAME",
    "image": "--image NAME@sha256:…",
    "entrypoint": "--entrypoint COMMAND",
    "ray.workers.gpuClass": "--gpu-class CLASS",
}
"""Field of the AIJob → the option that sets it."""
NVIDIA = "nvidia.com/gpu"
MOST_TOLD = 3
OWN_CAUSES = (Cause.APP_FAILED, Cause.OUT_OF_MEMORY, Cause.SCRATCH_FULL)
"""Ends that KubeRay tries again, and an AIJob only where its owner says so."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What no RayJob says and an AIJob must, and what replaces something in it."""

    pool: str
    location: tuple[str, ...]
    legal_control: tuple[str, ...]
    image: str = ""
    ray_version: str = ""
    gpu_class: str = ""
    entrypoint: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Conversion:
    """An AIJob, and what of the old manifest is not in it as it was."""

    job: Manifest
    notes: tuple[Note, ...]


def convert(documents: Iterable[object], choice: Choice) -> list[Conversion]:
    """Return an AIJob for each RayJob, RayCronJob and RayCluster among ``documents``.

    ConfigMaps among them that its pods mount become files of the job; what else stands there is named.

    Raises:
        Terminal: naming the field that no AIJob can hold, or that must be given.
    """
    held = [document for document in documents if isinstance(document, dict)]
    maps = dict(map(_named, (one for one in held if one.get("kind") == "ConfigMap")))
    jobs = [one for one in held if one.get("kind") in SPEC]
    beside = tuple(notes_beside(held, jobs))
    if not jobs:
        told = "".join(f"; {one.field}: {one.advice}" for one in beside[:MOST_TOLD])
        raise Terminal(f"no {', '.join(SPEC)} in this manifest{told}")
    first, *others = [_guarded(one, maps, choice) for one in jobs]
    return [replace(first, notes=first.notes + beside), *others]


def _named(config_map: Manifest) -> tuple[str, Mapping[str, str]]:
    """Return a ConfigMap's name and texts; none, where it has bytes too: no file of a job has."""
    name = (config_map.get("metadata") or {}).get("name")
    if not isinstance(name, str):
        raise Terminal("a ConfigMap of this manifest has no metadata.name")
    return name, {} if config_map.get("binaryData") else config_map.get("data") or {}


def _guarded(
    manifest: Manifest, maps: Mapping[str, Mapping[str, str]], choice: Choice
) -> Conversion:
    try:
        return _convert(manifest, maps, choice)
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        kind = manifest["kind"]
        raise Terminal(f"this is no {kind} as KubeRay takes it: {error}") from error


def _convert(
    manifest: Manifest, maps: Mapping[str, Mapping[str, str]], choice: Choice
) -> Conversion:
    taking = Taking(manifest)
    kind = str(manifest["kind"])
    at = SPEC[kind]
    cluster = f"{at}.rayClusterSpec" if at else "spec"
    if taking.peek(f"{at}.clusterSelector") and at:
        raise Terminal(f"{at}.clusterSelector: a run has a cluster of its own; give rayClusterSpec")
    contents = Contents(maps)
    groups = taking.peek(f"{cluster}.workerGroupSpecs") or []
    if not isinstance(groups, list) or not all(isinstance(group, dict) for group in groups):
        raise Terminal(f"{cluster}.workerGroupSpecs is no list of groups")
    paths = [f"{cluster}.workerGroupSpecs[{number}]" for number in range(len(groups))]
    elastic = bool(taking.peek(f"{cluster}.enableInTreeAutoscaling"))
    paths = [path for path in paths if _has_workers(taking, path, elastic=elastic)]
    for group in (f"{cluster}.headGroupSpec", *paths):
        if not isinstance(taking.peek(f"{group}.template.spec.containers[0]"), dict):
            raise Terminal(f"{group} has no container")
        take_contents(taking, group, contents)
    _take_runtime_env(taking, at, contents)
    spec: Manifest = {
        "pool": choice.pool,
        "image": _image(taking, cluster, paths, choice),
        "entrypoint": _entrypoint(taking, at, contents, choice),
        "ray": _ray(taking, cluster, paths, choice),
        "residency": {
            "location": {"allow": list(choice.location)},
            "legalControl": {"allow": list(choice.legal_control)},
        },
        "files": [{"name": n, "content": text} for n, text in sorted(contents.files.items())],
        "env": [{"name": name, "value": value} for name, value in contents.env.items()],
        "secrets": [{"name": name, "mode": mode} for name, mode in contents.secrets.items()],
        **({"runtimeEnv": {"pip": contents.lock}} if contents.lock else {}),
        **(_times(taking, at) if at else {}),
    }
    spec = {name: value for name, value in spec.items() if value != []}
    job = {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "AIJob",
        "metadata": _metadata(taking),
        "spec": spec,
    }
    _check(spec)
    return Conversion(job, tuple(taking.notes()))


def _check(spec: Manifest) -> None:
    try:
        AIJobSpec.model_validate(spec)
    except ValidationError as error:
        fault = first_fault(error)
        where = fault.partition(":")[0]
        option = next((name for at, name in OPTIONS.items() if where.startswith(at)), "")
        way_out = f"; give {option}" if option else "; change it in the manifest first"
        raise Terminal(f"the AIJob's spec.{fault}{way_out}") from None


def _metadata(taking: Taking) -> Manifest:
    given = str(taking.take("metadata.name") or taking.take("metadata.generateName", "job"))
    # A dot at the end is no name's, nor is what is cut off.
    name = re.sub(r"[^a-z0-9]+", "-", given.lower())[:LONGEST_NAME].strip("-") or "job"
    if name != given.rstrip("-"):
        taking.note("metadata.name", f"{given} is no name of an AIJob: it is {name} now")
    namespace = taking.take("metadata.namespace")
    return {"name": name} | ({"namespace": namespace} if namespace else {})


def _image(taking: Taking, cluster: str, groups: Sequence[str], choice: Choice) -> str:
    paths = [
        f"{group}.template.spec.containers[0]" for group in (f"{cluster}.headGroupSpec", *groups)
    ]
    for path in paths:
        taking.take(f"{path}.name")
    found = [(path, str(image)) for path in paths if (image := taking.take(f"{path}.image"))]
    for path, image in found[1:]:
        if image != found[0][1]:
            taking.note(f"{path}.image", f"{image}: an AIJob has one image for all its pods")
    image = choice.image or (found[0][1] if found else "")
    if not re.fullmatch(DIGEST_IMAGE.strip("^$"), image):
        where = f"{found[0][0]}.image" if found else f"{cluster}.headGroupSpec"
        raise Terminal(f"{where} is {image or 'not given'}: give --image NAME@sha256:…; tags move")
    return image


def _entrypoint(taking: Taking, at: str, contents: Contents, choice: Choice) -> list[str]:
    written = taking.take(f"{at}.entrypoint", "") if at else ""
    if choice.entrypoint:
        return list(choice.entrypoint)
    if not isinstance(written, str):
        raise Terminal(f"{at}.entrypoint is no text: give --entrypoint 'python train.py'")
    if not written.strip():
        raise Terminal(
            f"{at or 'RayCluster'} has no entrypoint: give --entrypoint 'python train.py'"
        )
    for before, after in sorted(contents.moved.items(), reverse=True):
        if before in written:
            written = re.sub(rf"{re.escape(before)}(?=[/\s'\"]|$)", after, written)
            taking.note(f"{at}.entrypoint", f"{before} is {after} in a run")
    return _words(written)


def _has_workers(taking: Taking, group: str, *, elastic: bool) -> bool:
    """Tell whether KubeRay makes pods of a group; one that has none is taken whole."""
    paths = (f"{group}.{name}" for name in ("minReplicas", "replicas"))
    some = [whole(path, taking.peek(path, 0)) for path in paths]
    if (elastic or any(some)) and not taking.peek(f"{group}.suspend"):
        return True
    taking.take(group)
    taking.note(group, "it has no workers: it is left out")
    return False


def _words(entrypoint: str) -> list[str]:
    """Split a command as a shell does; what needs a shell gets one."""
    try:
        words = shlex.split(entrypoint)
    except ValueError:
        return ["sh", "-c", entrypoint]
    outside = re.sub(r"'[^']*'|\"[^\"`$]*\"", "", entrypoint).strip()
    return ["sh", "-c", entrypoint.strip()] if SHELL.search(outside) else words


def _ray(taking: Taking, cluster: str, groups: Sequence[str], choice: Choice) -> Manifest:
    version = str(taking.take(f"{cluster}.rayVersion", ""))
    elastic = bool(taking.take(f"{cluster}.enableInTreeAutoscaling"))
    head = take_shape(taking, f"{cluster}.headGroupSpec")
    found = [take_group(taking, group, elastic=elastic) for group in groups]
    gang = gang_of(taking, f"{cluster}.headGroupSpec", head, found)
    first = gang["workers"]
    if first.get("gpus") and choice.gpu_class:
        first["gpuClass"] = choice.gpu_class
    for at, shape in (
        (f"{cluster}.headGroupSpec", head),
        *((one.path, one.shape) for one in found),
    ):
        if shape.gpus and shape.gpu_kind != NVIDIA and not choice.gpu_class:
            advice = f"{shape.gpu_kind}: give --gpu-class, or it may get cards of another maker"
            taking.note(f"{at}{RESOURCES}", advice)
    return {"version": choice.ray_version or version, **gang}


def _take_runtime_env(taking: Taking, at: str, contents: Contents) -> None:
    path = f"{at}.runtimeEnvYAML"
    written = taking.take(path) if at else None
    if not written:
        return
    try:
        wanted = read_one(written)
    except (yaml.YAMLError, ValueError) as error:
        raise Terminal(f"{path} is no YAML: {error}") from None
    if not isinstance(wanted, dict):
        raise Terminal(f"{path} is no mapping: write env_vars, pip and the like as its keys")
    for key, value in wanted.items():
        if key == "env_vars" and isinstance(value, dict):
            _take_env_vars(taking, f"{path}.env_vars", value, contents)
        elif key in INSTALLERS and (lock := _lock(value)):
            contents.lock = lock
        else:
            taking.note_dropped(f"{path}.{key}")


def _take_env_vars(taking: Taking, path: str, wanted: Manifest, contents: Contents) -> None:
    for name, value in wanted.items():
        if is_reserved_env(str(name)):
            taking.note(f"{path}.{name}", "the platform sets this variable itself")
        elif value is None or not is_settable(str(name)):
            taking.note_dropped(f"{path}.{name}")
        else:
            # As JSON and Ray write it: true, not Python's True.
            contents.env[str(name)] = value if isinstance(value, str) else json.dumps(value)


def _lock(wanted: Any) -> str:
    """Return the lock that Ray's pip or uv is given; nothing, where it is none."""
    packages = wanted.get("packages") if isinstance(wanted, dict) else wanted
    text = "\n".join(map(str, packages)) if isinstance(packages, list) else ""
    try:
        return RuntimeEnv(pip=text).pip
    except ValidationError:
        return ""


def _times(taking: Taking, at: str) -> dict[str, Any]:
    """Take what says when and how often; where nothing is said, an AIJob may do otherwise."""
    found = {
        "maxRuntimeSeconds": taking.take(f"{at}.activeDeadlineSeconds"),
        "suspend": taking.take(f"{at}.suspend") or None,
    }
    if found["maxRuntimeSeconds"] is None:
        advice = "not given: an AIJob is stopped after a day; set spec.maxRuntimeSeconds for more"
        taking.note(f"{at}.activeDeadlineSeconds", advice)
    else:
        given = whole(f"{at}.activeDeadlineSeconds", found["maxRuntimeSeconds"])
        if given > LONGEST_RUNTIME_S:
            advice = (
                f"{given} s: an AIJob runs {LONGEST_RUNTIME_S} s at most, and saves its work before"
            )
            taking.note(f"{at}.activeDeadlineSeconds", advice)
        found["maxRuntimeSeconds"] = min(given, LONGEST_RUNTIME_S)
    if taking.take(f"{at}.ttlSecondsAfterFinished") is not None:
        advice = (
            "the cluster goes at once; in an AIJob it would remove the job itself and its result"
        )
        taking.note(f"{at}.ttlSecondsAfterFinished", advice)
    if taking.peek(f"{at}.shutdownAfterJobFinishes"):
        taking.take(f"{at}.shutdownAfterJobFinishes")
    limit = taking.take(f"{at}.backoffLimit")
    if limit is None:
        advice = (
            f"not given: what the cluster breaks is tried again up to {RETRIES} times; spec.retry"
        )
        taking.note(f"{at}.backoffLimit", advice)
    else:
        found["retry"] = _retry(min(whole(f"{at}.backoffLimit", limit), MOST_RETRIES))
    return {name: value for name, value in found.items() if value is not None}


def _retry(limit: int) -> Manifest:
    """Return what repeats a run as often as KubeRay does: also one that the program ended."""
    own = [{"cause": cause.value, "limit": limit} for cause in OWN_CAUSES]
    return {"limit": limit} | ({"causes": own} if limit else {})
