"""What the pods of a Ray cluster become: resources, environment, secrets and files of an AIJob."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hansa.api.aijob import is_reserved_env
from hansa.cli.convert.taking import Taking
from hansa.errors import Terminal
from hansa.model.quantities import millis, units

CODE, SECRETS = "/code", "/secrets"
GPU_SUFFIX = "/gpu"
CPU, MEMORY = "1", "2Gi"
"""What an AIJob's pods have where nothing is asked."""
PLAIN = ("cpu", "memory", "ephemeral-storage")


@dataclass(frozen=True, slots=True)
class Shape:
    """CPU, memory and GPUs of a pod, and Ray's own resources."""

    cpu: str = CPU
    memory: str = MEMORY
    gpus: int = 0
    custom: tuple[tuple[str, int], ...] = ()


@dataclass(slots=True)
class Contents:
    """What the pods' containers bring with them; the same for all pods of an AIJob."""

    env: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    """Name → Environment or Files."""
    files: dict[str, str] = field(default_factory=dict)
    moved: dict[str, str] = field(default_factory=dict)
    """Path in the pods before → path in a run."""


def take_shape(taking: Taking, group: str) -> Shape:
    """Take what the Ray container of a group asks for; a limit stands in where no request does."""
    at = f"{group}.template.spec.containers[0].resources"
    limits, requests = taking.take(f"{at}.limits") or {}, taking.take(f"{at}.requests") or {}
    asked = {**limits, **requests}
    gpus = {k: int(v) for k, v in asked.items() if k.endswith(GPU_SUFFIX) and int(v)}
    unknown = sorted(k for k in asked if k not in PLAIN and not k.endswith(GPU_SUFFIX))
    if unknown or len(gpus) > 1:
        kinds = ", ".join(unknown or sorted(gpus))
        raise Terminal(f"{at} asks for {kinds}: an AIJob asks for GPUs of one class, nothing else")
    if "ephemeral-storage" in asked:
        taking.note(f"{at}.requests.ephemeral-storage", "scratch is the member's: /tmp")
    # What is asked of memory is what may be taken: so the limit, where both are there.
    memory = str(limits.get("memory") or requests.get("memory") or MEMORY)
    custom = _custom(taking, group)
    return Shape(str(asked.get("cpu", CPU)), memory, sum(gpus.values()), custom)


def weight(shape: Shape, count: int) -> tuple[int, int, int]:
    """Order groups: most GPUs, then CPU, then memory."""
    return shape.gpus * count, millis(shape.cpu) * count, units(shape.memory) * count


def _custom(taking: Taking, group: str) -> tuple[tuple[str, int], ...]:
    path = f"{group}.rayStartParams.resources"
    written = taking.take(path)
    if not written:
        return ()
    try:
        found = json.loads(str(written).strip("\"'").replace('\\"', '"'))
        return tuple(sorted((str(name), int(amount)) for name, amount in found.items()))
    except (ValueError, AttributeError):
        raise Terminal(f"{path} is no JSON object of numbers: {written}") from None


def take_contents(
    taking: Taking, group: str, config_maps: Mapping[str, Mapping[str, str]], into: Contents
) -> None:
    """Take environment, secrets and files of a group's Ray container."""
    container = f"{group}.template.spec.containers[0]"
    for number, variable in enumerate(taking.peek(f"{container}.env") or ()):
        _take_variable(taking, f"{container}.env[{number}]", variable, into)
    for number, source in enumerate(taking.peek(f"{container}.envFrom") or ()):
        name = (source.get("secretRef") or {}).get("name")
        if name and not source.get("prefix"):
            taking.take(f"{container}.envFrom[{number}]")
            into.secrets[name] = "Environment"
    mounts = taking.peek(f"{container}.volumeMounts") or ()
    where = {mount.get("name"): (n, mount) for n, mount in enumerate(mounts)}
    for number, volume in enumerate(taking.peek(f"{group}.template.spec.volumes") or ()):
        found = where.get(volume.get("name"))
        if found and _take_volume(volume, found[1], config_maps, into):
            taking.take(f"{group}.template.spec.volumes[{number}]")
            taking.take(f"{container}.volumeMounts[{found[0]}]")


def _take_variable(taking: Taking, path: str, variable: Mapping[str, Any], into: Contents) -> None:
    name, source = str(variable.get("name", "")), variable.get("valueFrom") or {}
    secret = (source.get("secretKeyRef") or {}).get("name")
    if secret:
        taking.take(path)
        into.secrets.setdefault(secret, "Environment")
        key = source["secretKeyRef"].get("key")
        if key != name:
            taking.note(path, f"the variable is called {key}, as the key of the secret is")
    elif not source and not is_reserved_env(name):
        taking.take(path)
        into.env[name] = str(variable.get("value", ""))


def _take_volume(
    volume: Mapping[str, Any],
    mount: Mapping[str, Any],
    config_maps: Mapping[str, Mapping[str, str]],
    into: Contents,
) -> bool:
    path = str(mount.get("mountPath", "")).rstrip("/")
    if secret := (volume.get("secret") or {}).get("secretName"):
        into.secrets[secret] = "Files"
        into.moved[path] = f"{SECRETS}/{secret}"
        return True
    if "emptyDir" in volume:
        into.moved[path] = "/tmp" if path == "/tmp" else f"/tmp/{path.rsplit('/')[-1]}"  # noqa: S108  # in a run
        return True
    wanted = volume.get("configMap") or {}
    held = config_maps.get(str(wanted.get("name")))
    if held is None:
        return False
    items = {i["key"]: i["path"] for i in wanted.get("items") or ()} or {k: k for k in held}
    if not all(key in held and "/" not in name for key, name in items.items()):
        return False
    sub = mount.get("subPath")
    into.files |= {name: held[key] for key, name in items.items() if sub in (None, name)}
    into.moved[path] = f"{CODE}/{sub}" if sub else CODE
    return True
