"""What the groups of a Ray cluster become: a head and groups of workers; those with GPUs have equally many."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from hansa.api.job.ray_shape import MOST_GROUPS, MOST_WORKERS, RESERVED_NAMES, SPLIT_PODS
from hansa.api.meta import is_name
from hansa.cli.convert.pods import Shape, take_shape, weight
from hansa.cli.convert.taking import Taking, whole
from hansa.errors import Terminal
from hansa.ports import Manifest

RESOURCES = ".template.spec.containers[0].resources"
UNBOUNDED = 2**31 - 1
"""What KubeRay writes for maxReplicas where nobody gave it."""
NO_TASKS = "an AIJob's head without GPUs takes no tasks: give workers its CPUs"


@dataclass(frozen=True, slots=True)
class Group:
    """A group of workers as a manifest has it."""

    path: str
    name: str
    count: int
    fewest: int
    shape: Shape


def take_group(taking: Taking, path: str, *, elastic: bool) -> Group:
    """Take a group of workers. ``elastic``: the manifest has Ray's autoscaler."""
    name = str(taking.take(f"{path}.groupName", ""))

    def number(field: str, default: int) -> int:
        return whole(f"{path}.{field}", taking.take(f"{path}.{field}", default))

    least, given = number("minReplicas", 0), number("maxReplicas", UNBOUNDED)
    wanted, hosts = max(least, number("replicas", least)), number("numOfHosts", 1)
    most = None if given == UNBOUNDED else given
    if elastic and most is None:
        taking.note(f"{path}.maxReplicas", f"not given: the job has {max(1, wanted)} at most")
    count = max(1, (most or wanted) if elastic else wanted) * hosts
    fewest = max(1, least) * hosts if elastic else count
    if elastic and not least and fewest < count:
        taking.note(f"{path}.minReplicas", f"0: the job begins with {fewest} workers at least")
    if count > MOST_WORKERS:
        where = "maxReplicas" if elastic and most else "replicas"
        raise Terminal(
            f"{path}.{where}: {count} workers, an AIJob's group has {MOST_WORKERS} at most: lower it"
        )
    return Group(path, name, count, fewest, take_shape(taking, path))


def gang_of(taking: Taking, at: str, head: Shape, groups: Sequence[Group]) -> Manifest:
    """Return head, workers and further groups of an AIJob. ``at``: where the head stands.

    The group with the most GPUs is the first; groups of its shape join it.
    """
    if not groups and not head.gpus:
        taking.note(at, "an AIJob's head without GPUs takes no tasks: it is a worker now")
        return {"head": _resources(Shape()), "workers": {"count": 1, **_resources(head)}}
    first = max(groups, key=lambda one: weight(one.shape, one.count), default=None)
    if first is None or (head.gpus and not first.shape.gpus):
        like, same = head, []
        workers: Manifest = {"count": 0, "gpus": head.gpus}
    else:
        like, same = first.shape, [one for one in groups if one.shape == first.shape]
        workers = _workers(like, same)
    gang: Manifest = {"head": _head(taking, at, head, like), "workers": workers}
    further = [one for one in groups if one not in same and _is_alike(one.shape, like)]
    for one in groups:
        if one not in same and one not in further[:MOST_GROUPS]:
            said = f"{one.count} workers of {one.shape.gpus} GPUs: {_why_not(one.shape, like)}"
            taking.note(one.path, said)
    if further:
        gang["workerGroups"] = _further(taking, further[:MOST_GROUPS])
    return gang


def _workers(shape: Shape, groups: Sequence[Group]) -> Manifest:
    count, fewest = sum(one.count for one in groups), sum(one.fewest for one in groups)
    least = {"minCount": fewest} if fewest != count else {}
    return {"count": count, **least, **_resources(shape)}


def _is_alike(shape: Shape, first: Shape) -> bool:
    return not shape.gpus or (shape.gpus, shape.gpu_kind) == (first.gpus, first.gpu_kind)


def _why_not(shape: Shape, first: Shape) -> str:
    if _is_alike(shape, first):
        return f"an AIJob has {MOST_GROUPS} groups at most beside its first"
    said = f"all pods of an AIJob that have GPUs have equally many of one class: here {first.gpus}"
    return f"{said}. {SPLIT_PODS}"


def _head(taking: Taking, at: str, head: Shape, first: Shape) -> Manifest:
    if head.custom:
        taking.note(f"{at}.rayStartParams.resources", "these are the workers': see customResources")
    if head.gpus and _is_alike(head, first):
        return _resources(replace(head, custom=()))
    if head.gpus:
        said = (
            f"{head.gpus} GPUs: an AIJob's head has as many as a worker of its first group, or none."
            f" {SPLIT_PODS}"
        )
        taking.note(at, said)
    cpus = f"{at}.rayStartParams.num-cpus"
    if str(taking.peek(cpus, "")) == "0":
        taking.take(cpus)
    else:
        taking.note(f"{at}{RESOURCES}", NO_TASKS)
    return _resources(replace(head, gpus=0, custom=()))


def _further(taking: Taking, groups: Sequence[Group]) -> list[Manifest]:
    made: dict[str, Manifest] = {}
    for group in groups:
        if group.fewest != group.count:
            said = f"{group.count} workers as long as the job runs: only the first group is elastic"
            taking.note(f"{group.path}.minReplicas", said)
        name = _name(group.name.lower(), {*RESERVED_NAMES, *made})
        made[name] = {"name": name, "count": group.count, **_resources(group.shape)}
    return [*made.values()]


def _name(name: str, taken: Collection[str]) -> str:
    """Return a group's name, or another where an AIJob's may not have it."""
    if is_name(name) and name not in taken:
        return name
    others = (f"group-{number}" for number in itertools.count(1))
    return next(other for other in others if other not in taken)


def _resources(shape: Shape) -> Manifest:
    found: Manifest = {"cpu": shape.cpu, "memory": shape.memory}
    if shape.gpus:
        found["gpus"] = shape.gpus
    if shape.custom:
        found["customResources"] = [{"name": name, "amount": many} for name, many in shape.custom]
    return found
