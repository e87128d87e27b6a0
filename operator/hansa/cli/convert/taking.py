"""Reads a manifest by taking out of it what has a place in an AIJob: what is left has none, and is told.

So no field can be dropped in silence, one that KubeRay adds tomorrow included.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hansa.errors import Terminal
from hansa.ports import Manifest


@dataclass(frozen=True, slots=True)
class Note:
    """A field that is not in the AIJob as it was, and what to do about it."""

    field: str
    advice: str


class Taking:
    """A manifest of which parts are taken, and the notes made on the way."""

    def __init__(self, manifest: Mapping[str, Any]) -> None:
        self._left: Manifest = copy.deepcopy(dict(manifest))
        self._notes: list[Note] = []

    def take(self, path: str, default: Any = None) -> Any:
        """Take the value at ``path`` (``spec.entrypoint``, ``spec.groups[0].name``) out of the manifest."""
        holder: Any = self._left
        *way, last = _steps(path)
        for step in way:
            holder = _inside(holder, step)
        found = _inside(holder, last)
        if found is None:
            return default
        # The place stays, so that the indices of its neighbours do.
        holder[last] = None
        return found

    def peek(self, path: str, default: Any = None) -> Any:
        """Return the value at ``path`` and leave it there."""
        holder: Any = self._left
        for step in _steps(path):
            holder = _inside(holder, step)
        return default if holder is None else holder

    def note(self, field: str, advice: str) -> None:
        """Tell of a field that was taken and does not mean quite the same in the AIJob."""
        self._notes.append(Note(field, advice))

    def note_dropped(self, field: str) -> None:
        """Tell of a field that stood inside a text, as of one that nobody took."""
        self.note(field, _advice(field))

    def notes(self) -> list[Note]:
        """Return what was noted, and a note of each field that nobody took."""
        left = [Note(path, _advice(path)) for path in _leaves(self._left, "")]
        return sorted({*self._notes, *left}, key=lambda note: note.field)


def whole(path: str, value: object) -> int:
    """Return a whole number of a manifest; raises ``Terminal`` where it is none."""
    try:
        return int(str(value).removesuffix(".0"))
    except ValueError:
        raise Terminal(f"{path} is {value}: give a whole number") from None


WORDLESS = re.compile(r"^(apiVersion|kind|status\b|metadata\.(name|namespace|generateName)$)")
PLAIN_ENV = "an AIJob's env holds plain values that the platform does not set itself"
ADVICE = {
    r"metadata\.": "labels and annotations of an AIJob are its owner's: add what you need",
    r"\.(runtimeEnvYAML|runtimeEnv)\.working_dir$": "build the code into the image, or put small"
    " scripts into spec.files: a run fetches nothing from the internet",
    r"\.(runtimeEnvYAML|runtimeEnv)\.(pip|uv)$": "make a lock with hashes (uv pip compile"
    " --generate-hashes) for spec.runtimeEnv.pip, or build it into the image",
    r"\.(runtimeEnvYAML|runtimeEnv)\.env_vars\b": PLAIN_ENV,
    r"\.(runtimeEnvYAML|runtimeEnv)\.": "build what it installs into the image: a run fetches nothing",
    r"\.(submissionMode|submitterPodTemplate|submitterConfig|shutdownAfterJobFinishes|deletionStrategy"
    r"|deletionPolicy|managedBy|jobId)\b": "the member submits the job itself and removes what it made",
    r"\.preRunningDeadlineSeconds$": "the member's start limit does this",
    r"\.entrypoint(NumCpus|NumGpus|Resources)$": "the driver runs on the head without a reservation",
    r"\.(schedule|timeZone|suspend|concurrencyPolicy|startingDeadlineSeconds|.*JobsHistoryLimit)$": ""
    "a CronJob that runs `kubectl create -f` makes the job again and again",
    r"\.rayStartParams\.": "the member starts Ray itself, with the pod's CPUs and GPUs",
    r"\.(autoscalerOptions|enableInTreeAutoscaling|idleTimeoutSeconds|scaleStrategy|upgradeStrategy)\b": ""
    "the planner chooses the workers between minCount and count when the job begins, and they stay",
    r"\.(gcsFaultToleranceOptions|networkPolicy|authOptions|tlsOptions|headService|enableIngress"
    r"|serviceType|headServiceAnnotations|historyServer.*)\b": "the member fences its runs by itself",
    r"\.(nodeSelector|tolerations|affinity|priorityClassName|runtimeClassName|schedulerName|hostNetwork"
    r"|topologySpreadConstraints|labelSelector)\b": "where pods run is the member's: say what the job"
    " needs by gpuClass, gpuMemory and residency",
    r"\.(serviceAccountName|imagePullSecrets|securityContext|hostIPC|hostPID|automountServiceAccountToken)"
    r"\b": "runs have no rights in the cluster, and the member's own security and registry account",
    r"\.(lifecycle|livenessProbe|readinessProbe|startupProbe|command|args|ports|initContainers"
    r"|imagePullPolicy|restartPolicy|terminationMessage.*)\b": "the pods are the member's: what must run"
    " goes into the image or the entrypoint",
    r"\.env\[": PLAIN_ENV,
    r"\.envFrom\[": "secrets that the member lends: spec.secrets",
    r"\.(volumes|volumeMounts)\[": "data sets are lent by members: spec.data; scratch is /tmp",
    r"\.containers\[[1-9]": "one container a pod",
    r"\.resources\.": "an AIJob's pods ask for CPU, memory and GPUs",
    r"\.template\.metadata$": "pods carry the platform's labels",
    r"workerGroupSpecs\[": "groups of an AIJob's workers have no such field",
}
"""What to do about a field that has no place, by where it stands; the first that fits."""
WHOLE = re.compile(
    r"\.(ports|lifecycle|\w+Probe|securityContext|affinity|tolerations|nodeSelector|autoscalerOptions"
    r"|gcsFaultToleranceOptions|deletionStrategy|submitterPodTemplate|submitterConfig|initContainers"
    r"|headService|imagePullSecrets|template\.metadata|command|args|containers\[[1-9]\d*\]"
    r"|(env|envFrom|volumes|volumeMounts)\[\d+\])$"
)
"""Fields that are told of as one, whatever is inside."""


def _advice(path: str) -> str:
    fits = (words for pattern, words in ADVICE.items() if re.search(pattern, path))
    return next(fits, "an AIJob has no such field")


def _leaves(value: Any, path: str) -> Iterator[str]:
    """Yield the paths of what is left."""
    if value is None or value in ({}, []) or WORDLESS.match(path):
        return
    if WHOLE.search(path):
        yield path
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and any(one is None or isinstance(one, dict) for one in value):
        for number, inner in enumerate(value):
            yield from _leaves(inner, f"{path}[{number}]")
    else:
        yield path


def _steps(path: str) -> list[str | int]:
    parts = re.findall(r"\[(\d+)\]|\"([^\"]+)\"|([^.\[\]\"]+)", path)
    return [int(number) if number else quoted or name for number, quoted, name in parts]


def _inside(holder: Any, step: str | int) -> Any:
    if isinstance(step, int):
        return holder[step] if isinstance(holder, list) and step < len(holder) else None
    return holder.get(step) if isinstance(holder, dict) else None
