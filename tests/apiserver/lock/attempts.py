"""The escapes as a hub may try them: each put into the signed job of a grant, as near as a grant comes to it.

A grant has no podSpec, so what most of them meet is that there is no such field. A request without a
body (a shell, a deletion) can be put into nothing: the renderer makes objects and does nothing else.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from hansa.grants.checks import judge
from hansa.grants.facts import Judgement
from tests.apiserver.lock.escapes import PODS, REQUESTS, PodEscape, Request
from tests.apiserver.lock.escaping.by_rayjob import RAYJOBS
from tests.unit.grants.grant_kit import facts, grant, job, policy

Attempt = dict[str, Any]
"""A job's wire spec."""
LAW = policy(imageRegistries=["hansa.local/", "registry.example/team"])
LAWFUL = job(
    env=[{"name": "MODE", "value": "full"}], secrets=[{"name": "token"}], result={"maxBytes": 9}
)
NO_FIELD = "no such field"


def attempts() -> dict[str, Attempt | None]:
    """Return every escape with how a grant would ask for it; None: nothing in a grant can."""
    tried = {name: _of_pod(escape) for name, escape in PODS.items()}
    tried |= {name: _of_rayjob(escape) for name, escape in RAYJOBS.items()}
    return tried | {name: _of_request(request) for name, request in REQUESTS.items()}


def verdict(attempt: Attempt) -> Judgement:
    """Return the member's judgement of a grant that is in order but for what it asks."""
    return judge(grant(attempt), LAW, facts())


def control(attempt: Attempt) -> str:
    """Return what stopped it, in a few words."""
    found = verdict(attempt)
    assert not found.accepted, attempt
    reason, message = found.objections[0].reason.value, found.objections[0].message
    field, _, why = message.removeprefix("jobSpec.").partition(": ")
    if reason != "Malformed":
        return reason
    why = NO_FIELD if "Extra inputs" in why else why
    return f"{reason}: {field}: {why[:60]}"


def _of_pod(escape: PodEscape) -> Attempt:  # noqa: PLR0911  # a table
    path, value, _ = escape
    match path:
        case ("spec", "containers", _, "image"):
            return LAWFUL | {"image": value}
        case ("spec", "containers", _, "env", "+"):
            return LAWFUL | {"env": [*LAWFUL["env"], value]}
        case ("spec", "containers", _, "envFrom", "+"):
            held = value.get("secretRef") or value.get("configMapRef")
            return LAWFUL | {"secrets": [*LAWFUL["secrets"], held]}
        case ("spec", "containers", _, "resources") if "memory" in value["limits"]:
            return _within(("ray", "workers", "memory"), value["limits"]["memory"])
        case ("spec", "containers", _, "volumeMounts", _, "readOnly"):
            return LAWFUL | {"data": [{"name": "cohort", "readOnly": value}]}
        case ("spec", "volumes", *_):
            return LAWFUL | {
                "data": [*LAWFUL["data"], value if isinstance(value, dict) else {path[-1]: value}]
            }
        case ("spec", "containers" | "initContainers", *rest):
            return _within(("ray", "workers", *_named(rest)), value)
        case ("spec", *rest):
            return _within(_named(rest), value)
    return _within(_named(path), value)


def _of_rayjob(escape: PodEscape) -> Attempt:
    path, value, _ = escape
    match path:
        case ("spec", "activeDeadlineSeconds"):
            return LAWFUL | {"maxRuntimeSeconds": value}
        case ("spec", "rayClusterSpec", *rest):
            return _within(("ray", *_named(rest)), value)
    return _within(_named(path[1:]), value)


def _of_request(request: Request) -> Attempt | None:
    """Put the body of a request into the job, as an object to be made beside it."""
    return LAWFUL | {"objects": [request.body]} if request.body else None


def _named(path: Any) -> tuple[str, ...]:
    """Return the steps of a path that are names: a job has no lists of containers to point into."""
    return tuple(str(step) for step in path if isinstance(step, str) and step != "+") or ("extra",)


def _within(path: tuple[str, ...], value: Any) -> Attempt:
    made = copy.deepcopy(LAWFUL)
    place: Any = made
    for step in path[:-1]:
        place = place.setdefault(step, {})
        if not isinstance(place, dict):
            return LAWFUL | {path[0]: {path[-1]: value}}
    place[path[-1]] = value
    return made


def holds(pod: Mapping[str, Any], escape: PodEscape) -> bool:
    """Tell whether a pod template has the escape in it."""
    (*way, last), value, _ = escape
    place: Any = pod
    for step in way:
        if isinstance(place, list):
            if not isinstance(step, int) or step >= len(place):
                return False
            place = place[step]
        else:
            place = place.get(step, {}) if isinstance(place, Mapping) else {}
    if last == "+":
        return isinstance(place, list) and value in place
    if isinstance(place, list):
        return isinstance(last, int) and last < len(place) and place[last] == value
    return isinstance(place, Mapping) and last in place and place[last] == value
