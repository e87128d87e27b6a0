"""Applies the story's jobs with kubectl and follows them, as a data owner would."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import yaml

from e2e.testbed.host.clock import utc_now, wait_until
from hansa.api.meta import JOB_UID_LABEL

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"
IMAGE = re.compile(r"hansa\.local/ray-sklearn@sha256:0{64}")
JOB_S = 600.0
"""For a Ray job, from apply to its end: a ceiling, as ``clock.PATIENCE_S``."""
ENDED = frozenset({"SUCCEEDED", "FAILED", "STOPPED"})

Manifest = dict[str, Any]


class Cluster(Protocol):
    """What the story needs of a cluster: kubectl, as its admin."""

    @property
    def kubeconfig(self) -> Path:
        """The admin's kubeconfig."""
        ...

    def kubectl(self, *args: str | Path, stdin: str | None = None) -> str:
        """Run kubectl and return what it printed."""
        ...


@dataclass(frozen=True, slots=True)
class Applied:
    """One job after ``kubectl apply``."""

    file: str
    namespace: str
    name: str
    uid: str
    applied_at: float
    """Seconds since the Unix epoch, taken just before the apply."""


@dataclass(frozen=True, slots=True)
class JobOutcome:
    """One job of the story."""

    name: str
    allowed_nodes: tuple[str, ...]
    """By residency, legal control and data alone, computed apart from the planner."""
    node: str | None
    outcome: str
    """``Succeeded``, ``Failed`` or ``Pending``."""
    reasons: tuple[str, ...] = ()
    """``NODE: REASON`` of refusals and verdicts."""
    result: dict[str, Any] | None = None
    apply_to_running_seconds: float | None = None
    namespace: str = ""

    @property
    def full_name(self) -> str:
        """``namespace/name``."""
        return f"{self.namespace}/{self.name}"


def load_example(file: str, image: str) -> Manifest:
    """Return a job from ``docs/examples`` with the digest of the image that was built."""
    text = (EXAMPLES / file).read_text(encoding="utf-8")
    loaded: Manifest = yaml.safe_load(IMAGE.sub(image, text))
    return loaded


def load_examples(image: str) -> dict[tuple[str, str], Manifest]:
    """Return every job of ``docs/examples`` by (namespace, name)."""
    found = (load_example(path.name, image) for path in sorted(EXAMPLES.glob("*.yaml")))
    return {(job["metadata"]["namespace"], job["metadata"]["name"]): job for job in found}


def apply(hub: Cluster, file: str, image: str) -> Applied:
    """Apply one example and return what the API server made of it."""
    return apply_manifest(hub, load_example(file, image), file=file)


def apply_manifest(hub: Cluster, manifest: Manifest, *, file: str = "") -> Applied:
    """Apply a job and return what the API server made of it."""
    applied_at = utc_now().timestamp()
    made = json.loads(hub.kubectl("apply", "-o", "json", "-f", "-", stdin=yaml.safe_dump(manifest)))
    meta = made["metadata"]
    return Applied(file, meta["namespace"], meta["name"], meta["uid"], applied_at)


def read(hub: Cluster, job: Applied) -> Manifest:
    """Return the job as the hub has it now."""
    got: Manifest = json.loads(
        hub.kubectl("get", "aijob", job.name, "-n", job.namespace, "-o", "json")
    )
    return got


def explain(hub: Cluster, job: Applied) -> str:
    """Return what ``kubectl hansa explain`` prints of a job."""
    done = subprocess.run(
        [sys.executable, "-m", "hansa", "explain", job.name, "-n", job.namespace],
        env=os.environ | {"KUBECONFIG": str(hub.kubeconfig), "COLUMNS": "140"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def condition(thing: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    """Return one condition of an object, empty if it has none."""
    found = (c for c in thing.get("status", {}).get("conditions", ()) if c["type"] == kind)
    return next(found, {})


def holds(thing: Mapping[str, Any], kind: str) -> bool:
    """Tell whether a condition is True."""
    return condition(thing, kind).get("status") == "True"


def wait_for(
    hub: Cluster, job: Applied, done: Callable[[Manifest], bool], *, what: str
) -> Manifest:
    """Wait until ``done`` of the job; a timeout says what the job said last."""
    last: list[Manifest] = [{}]

    def look() -> bool:
        last[0] = read(hub, job)
        return done(last[0])

    try:
        wait_until(look, what=what, timeout_s=JOB_S, poll_s=0.5)
    except TimeoutError as late:
        said = json.dumps(last[0].get("status", {}), indent=1)
        raise TimeoutError(f"{job.name}: {late}; its status is {said}") from late
    return last[0]


def wait_until_done_at(member: Cluster, job: Applied) -> None:
    """Wait until the member's own cluster says that the job's Ray job has ended."""

    def done() -> bool:
        selector = f"--selector={JOB_UID_LABEL}={job.uid}"
        found = json.loads(member.kubectl("get", "rayjobs", "-A", selector, "-o", "json"))["items"]
        return not found or any(item.get("status", {}).get("jobStatus") in ENDED for item in found)

    wait_until(done, what=f"{job.name} to end at the member", timeout_s=JOB_S, poll_s=0.5)


def finished(thing: Mapping[str, Any]) -> bool:
    """Tell whether a job has ended, well or badly."""
    return holds(thing, "Succeeded") or holds(thing, "Failed")


def outcome_of(job: Applied, thing: Manifest, allowed: tuple[str, ...]) -> JobOutcome:
    """Return the report's line for a job as it is now."""
    status = thing.get("status", {})
    word = next((kind for kind in ("Succeeded", "Failed") if holds(thing, kind)), "Pending")
    said = [*status.get("refusals", ()), *status.get("verdicts", ())]
    running = status.get("runningAt")
    return JobOutcome(
        name=job.name,
        namespace=job.namespace,
        allowed_nodes=allowed,
        node=status.get("node"),
        outcome=word,
        reasons=tuple(dict.fromkeys(f"{v['node']}: {v['reason']}" for v in said)),
        result=json.loads(status["result"]) if status.get("result") else None,
        apply_to_running_seconds=(
            round(datetime.fromisoformat(running).timestamp() - job.applied_at, 2)
            if running
            else None
        ),
    )
