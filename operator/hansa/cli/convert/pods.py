"""What the pods of a Ray cluster become: resources, environment, secrets and files of an AIJob."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from hansa.api.aijob import is_reserved_env
from hansa.api.meta import ENV_NAME, QUANTITY
from hansa.cli.convert.taking import Taking
from hansa.errors import Terminal
from hansa.model.quantities import millis, units
from hansa.reconcile.member.inventory.accelerators import BUILT_IN, is_unknown_accelerator

CODE, SECRETS = "/code", "/secrets"
SCRATCH = "/tmp"  # noqa: S108  # in a run
SHARED_MEMORY = "/dev/shm"  # noqa: S108  # KubeRay mounts it into every pod of Ray
GPU_SUFFIX = "/gpu"
CPU, MEMORY = "1", "2Gi"
"""What an AIJob's pods have where nothing is asked."""
NOT_SETTABLE = "an AIJob's env holds names that the platform does not set itself"
EXECUTABLE = 0o111
PLAIN = ("cpu", "memory", "ephemeral-storage")


@dataclass(frozen=True, slots=True)
class Shape:
    """CPU, memory and GPUs of a pod, and Ray's own resources."""

    cpu: str = CPU
    memory: str = MEMORY
    gpus: int = 0
    gpu_kind: str = ""
    """The name by which Kubernetes knows them."""
    custom: tuple[tuple[str, int], ...] = ()


@dataclass(slots=True)
class Contents:
    """What the pods' containers bring with them; the same for all pods of an AIJob."""

    config_maps: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Those of the manifest, by name."""
    env: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    """Name → Environment or Files."""
    files: dict[str, str] = field(default_factory=dict)
    lock: str = ""
    """Packages with hashes that Ray installs."""
    moved: dict[str, str] = field(default_factory=dict)
    """Path in the pods before → path in a run."""

    def lend(self, taking: Taking, path: str, source: Mapping[str, Any], mode: str) -> None:
        """Take a secret's use, or tell that it is used otherwise already."""
        secret = str(source.get("secretName") or source.get("name"))
        if source.get("optional"):
            taking.note(path, f"optional: only members that lend the secret {secret} run the job")
        held = self.secrets.setdefault(secret, mode)
        if held != mode:
            how = {"Files": "files", "Environment": "variables"}[held]
            taking.note(path, f"a run has all of the secret {secret} as {how} already, in one way")

    def set(self, taking: Taking, path: str, name: str, value: str) -> None:
        """Take a variable, or tell that it has another value already."""
        if self.env.setdefault(name, value) != value:
            taking.note(
                path, f"{name} is {self.env[name]!r}: all pods of a run have one environment"
            )


def take_shape(taking: Taking, group: str) -> Shape:
    """Take what the Ray container of a group asks for; a limit stands in where no request does."""
    at = f"{group}.template.spec.containers[0].resources"
    limits, requests = taking.take(f"{at}.limits") or {}, taking.take(f"{at}.requests") or {}
    asked = {**limits, **requests}
    for name, many in asked.items():
        _read(f"{at}: {name}", many)
    gpus = {k: many for k, v in asked.items() if _is_card(k) and (many := _whole(at, k, v))}
    _pass_over(taking, at, asked, gpus)
    if "ephemeral-storage" in asked:
        taking.note(f"{at}.requests.ephemeral-storage", "scratch is the member's: /tmp")
    more = limits.get("cpu")
    if more and "cpu" in requests and millis(str(more)) != millis(str(requests["cpu"])):
        taking.note(f"{at}.limits.cpu", f"Ray counted {more} CPUs; it is {requests['cpu']} now")
    # What is asked of memory is what may be taken: so the limit, where both are there.
    memory = str(limits.get("memory") or requests.get("memory") or MEMORY)
    custom = _custom(taking, group)
    kind = next(iter(gpus), "")
    cpu = _written(str(asked.get("cpu", CPU)), lambda quantity: f"{millis(quantity)}m")
    memory = _written(memory, lambda quantity: str(units(quantity)))
    return Shape(cpu, memory, sum(gpus.values()), kind, custom)


def _read(what: str, many: object) -> None:
    """Raise ``Terminal`` where a quantity is none."""
    try:
        millis(str(many))
    except ValueError:
        raise Terminal(f"{what} is {many}: give a quantity, for example 4 or 16Gi") from None


def _is_card(resource: str) -> bool:
    return resource.endswith(GPU_SUFFIX) or any(row.matches(resource) for row in BUILT_IN)


def _whole(at: str, resource: str, many: object) -> int:
    thousandths = millis(str(many))
    if thousandths % 1000:
        raise Terminal(
            f"{at} asks for {many} {resource}: an AIJob's pods have whole cards or slices"
        )
    return thousandths // 1000


def _pass_over(taking: Taking, at: str, asked: Mapping[str, Any], gpus: Collection[str]) -> None:
    """Tell of resources that no AIJob asks for; where the program cannot do without, refuse."""
    others = [name for name in asked if name not in PLAIN and not _is_card(name)]
    needed = sorted(name for name in others if is_unknown_accelerator(name, BUILT_IN))
    if len(gpus) > 1:
        needed += sorted(gpus)
    if needed:
        raise Terminal(
            f"{at} asks for {', '.join(needed)}: an AIJob asks for GPUs of one class. Take the group, or what"
            " it asks for, out of the manifest to convert the rest"
        )
    for name in sorted(others):
        taking.note(
            f"{at}.limits.{name}", "members lend CPU, memory and GPUs: the job asks for none"
        )


def _written(quantity: str, write: Callable[[str], str]) -> str:
    """Return a quantity in the way an AIJob has them."""
    return quantity if re.fullmatch(QUANTITY, quantity) else write(quantity)


def weight(shape: Shape, count: int) -> tuple[int, int, int]:
    """Order groups: most GPUs, then CPU, then memory."""
    return shape.gpus * count, millis(shape.cpu) * count, units(shape.memory) * count


def _custom(taking: Taking, group: str) -> tuple[tuple[str, int], ...]:
    path = f"{group}.rayStartParams.resources"
    written = taking.take(path)
    if not written:
        return ()
    with contextlib.suppress(ValueError, TypeError, AttributeError):
        found = json.loads(str(written).strip("\"'").replace('\\"', '"'))
        amounts = {str(name): int(many) for name, many in found.items() if many == int(many)}
        if len(amounts) == len(found):
            return tuple(sorted(amounts.items()))
    raise Terminal(f"{path} is no JSON object of whole numbers: {written}")


def take_contents(taking: Taking, group: str, into: Contents) -> None:
    """Take environment, secrets and files of a group's Ray container."""
    container = f"{group}.template.spec.containers[0]"
    for number, variable in enumerate(taking.peek(f"{container}.env") or ()):
        _take_variable(taking, f"{container}.env[{number}]", variable, into)
    for number, source in enumerate(taking.peek(f"{container}.envFrom") or ()):
        _take_source(taking, f"{container}.envFrom[{number}]", source, into)
    _take_volumes(taking, group, into)


def _take_source(taking: Taking, at: str, source: Mapping[str, Any], into: Contents) -> None:
    """Take a Secret whose keys are variables, or the values of a ConfigMap of the same manifest."""
    prefix = str(source.get("prefix") or "")
    secret = source.get("secretRef") or {}
    plain = str((source.get("configMapRef") or {}).get("name") or "")
    if secret.get("name") and not prefix:
        taking.take(at)
        into.lend(taking, at, secret, "Environment")
    elif plain in into.config_maps:
        taking.take(at)
        values = {f"{prefix}{key}": value for key, value in into.config_maps[plain].items()}
        for name, value in values.items():
            if is_settable(name):
                into.set(taking, at, name, value)
            else:
                taking.note(at, f"{name}: {NOT_SETTABLE}")
    elif plain:
        taking.take(at)
        taking.note(at, f"put ConfigMap {plain} into the manifest: its values become spec.env")


def _take_volumes(taking: Taking, group: str, into: Contents) -> None:
    container = f"{group}.template.spec.containers[0]"
    mounts = [*(taking.peek(f"{container}.volumeMounts") or ())]
    for number, volume in enumerate(taking.peek(f"{group}.template.spec.volumes") or ()):
        at = f"{group}.template.spec.volumes[{number}]"
        for n, mount in enumerate(mounts):
            is_its = mount.get("name") == volume.get("name")
            moved = _take_volume(taking, at, (volume, mount), into) if is_its else None
            if moved is None:
                continue
            taking.take(at)
            taking.take(place := f"{container}.volumeMounts[{n}]")
            into.moved |= moved
            for before, after in moved.items():
                if before != after:
                    taking.note(place, f"{before} is {after} in a run")


def _take_variable(taking: Taking, path: str, variable: Mapping[str, Any], into: Contents) -> None:
    name, source = str(variable.get("name", "")), variable.get("valueFrom") or {}
    secret = source.get("secretKeyRef") or {}
    if secret.get("name"):
        taking.take(path)
        into.lend(taking, path, secret, "Environment")
        key = secret.get("key")
        if key != name:
            taking.note(path, f"the variable is called {key}, as the key of the secret is")
        return
    value = None if source else str(variable.get("value", ""))
    if wanted := source.get("configMapKeyRef"):
        value = into.config_maps.get(str(wanted.get("name")), {}).get(str(wanted.get("key")))
    if value is not None and is_settable(name):
        taking.take(path)
        into.set(taking, path, name, value)


def is_settable(name: str) -> bool:
    """Tell whether an AIJob may set a variable of this name."""
    return bool(re.fullmatch(ENV_NAME, name)) and not is_reserved_env(name)


def _take_volume(
    taking: Taking, at: str, mounted: tuple[Mapping[str, Any], Mapping[str, Any]], into: Contents
) -> Mapping[str, str] | None:
    """Take a volume; return which paths it had and has in a run. None: an AIJob has no such volume."""
    volume, mount = mounted
    path, sub = str(mount.get("mountPath", "")).rstrip("/"), str(mount.get("subPath") or "")
    if secret := (volume.get("secret") or {}).get("secretName"):
        into.lend(taking, at, volume["secret"], "Files")
        return dict(_moved(path, sub, volume["secret"], f"{SECRETS}/{secret}"))
    if "emptyDir" in volume:
        if path != SHARED_MEMORY and (volume["emptyDir"] or {}).keys() & {"medium", "sizeLimit"}:
            taking.note(f"{at}.emptyDir", "scratch is the member's: /tmp, on disk, of its size")
        is_kept = path in {SHARED_MEMORY, SCRATCH} or path.startswith(f"{SCRATCH}/")
        return {path: path if is_kept else f"{SCRATCH}{path}"}
    wanted = volume.get("configMap") or {}
    held = into.config_maps.get(str(wanted.get("name")))
    if held is None:
        return None
    items = {i["key"]: i["path"] for i in wanted.get("items") or ()} or {k: k for k in held}
    files = {name: held[key] for key, name in items.items() if key in held and sub in ("", name)}
    if not files or not items.keys() <= held.keys() or any("/" in name for name in items.values()):
        return None
    for name, text in files.items():
        if into.files.setdefault(name, text) != text:
            taking.note(at, f"{name} is another file of that name already: a run has one /code")
    if int(wanted.get("defaultMode") or 0) & EXECUTABLE:
        advice = "files of a job are only read: begin the command with python or sh"
        taking.note(f"{at}.configMap.defaultMode", advice)
    return {path: f"{CODE}/{sub}" if sub else CODE}


def _moved(path: str, sub: str, source: Mapping[str, Any], now: str) -> Iterator[tuple[str, str]]:
    """Yield where the files of a secret were and are: a run has them by their keys."""
    items = {i["path"]: i["key"] for i in source.get("items") or ()}
    if sub:
        yield path, f"{now}/{items.get(sub, sub)}"
    elif items:
        yield from ((f"{path}/{name}", f"{now}/{key}") for name, key in items.items())
    else:
        yield path, now
