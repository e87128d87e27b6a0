"""What must hold at every instant, read from the merged audit logs of all API servers.

A run is live from the moment its RayJob stands until KubeRay says that it is over or its namespace is
gone. All servers are on one machine, so their logs merge by time; a run begins when the server had
answered and ends when it was asked, so that no order is claimed that was not there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from e2e.lawful import lets_in
from hansa.api.meta import EPOCH_LABEL, JOB_UID_LABEL, NODE_NAMESPACE_PREFIX
from hansa.grants.envelope import RUN_PREFIX

PEOPLE = "admin"
"""As whom institutions and the league's admin ask."""


def _rule(level: str, verbs: list[str], group: str, *resources: str) -> dict[str, object]:
    chosen = [{"group": group, "resources": [*resources]}]
    return {"level": level, "verbs": verbs, "resources": chosen}


AUDIT_POLICY: dict[str, object] = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        _rule("RequestResponse", ["create"], "ray.io", "rayjobs"),
        _rule("Request", ["patch", "update"], "ray.io", "rayjobs/status"),
        _rule("RequestResponse", ["create"], "hansa.dev", "aijobs", "workgrants"),
        _rule("Metadata", ["delete", "deletecollection"], "hansa.dev", "aijobs"),
        _rule("Metadata", ["delete", "update"], "", "namespaces", "namespaces/finalize"),
        {"level": "None"},
    ],
}


@dataclass(slots=True)
class LiveRun:
    """One run at one member."""

    site: str
    job: str
    epoch: int
    gpus: int
    stopping: bool = False


@dataclass(slots=True)
class Log:
    """One server's log, read as it grows."""

    server: str
    path: Path
    _read: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        """Begin at the present."""
        self._read = self.path.stat().st_size if self.path.exists() else 0

    def news(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Yield what was committed since: when, at which server, what."""
        if not self.path.exists():
            return
        with self.path.open("rb") as lines:
            lines.seek(self._read)
            for line in lines:
                if not line.endswith(b"\n"):
                    return
                self._read += len(line)
                event = json.loads(line)
                if event["responseStatus"]["code"] < 300 and "dryRun=" not in event["requestURI"]:
                    begins = event["verb"] == "create"
                    when = event["stageTimestamp" if begins else "requestReceivedTimestamp"]
                    yield when, self.server, event


@dataclass
class Invariants:
    """Holds what has happened so far against what may."""

    sites: Mapping[str, tuple[str, int]]
    """Member → its country and its GPUs."""
    violations: list[str] = field(default_factory=list)
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    """uid → the job as its owner was told it is accepted."""
    live: dict[tuple[str, str], LiveRun] = field(default_factory=dict)
    runs: int = 0
    granted: set[tuple[str, int]] = field(default_factory=set)

    def read(self, logs: list[Log]) -> None:
        """Take in what the servers have committed since."""
        events = sorted((one for log in logs for one in log.news()), key=lambda one: one[0])
        for when, server, event in events:
            self._take(when, server, event)

    def _take(self, when: str, server: str, event: dict[str, Any]) -> None:
        at, verb = event["objectRef"], event["verb"]
        kind, part = at["resource"], at.get("subresource", "")
        match kind, verb, part:
            case "rayjobs", "create", "":
                self._begins(when, server, event["responseObject"])
            case "rayjobs", _, "status":
                self._moves(server, at["namespace"], event.get("requestObject") or {})
            case "namespaces", "delete", "" if (server, at["name"]) in self.live:
                self.live[server, at["name"]].stopping = True
            case "namespaces", _, "finalize":
                self.live.pop((server, at["name"]), None)
            case "aijobs", "create", "":
                made = event["responseObject"]
                self.jobs[made["metadata"]["uid"]] = made
            case "aijobs", "delete" | "deletecollection", "":
                if _asked_by(event) != PEOPLE:
                    self._accuse(when, f"{_asked_by(event)} deleted job {at.get('name')}")
            case "workgrants", "create", "":
                self._granted(when, event["responseObject"])

    def _begins(self, when: str, site: str, made: dict[str, Any]) -> None:
        self.runs += 1
        meta = made["metadata"]
        uid, epoch = meta["labels"][JOB_UID_LABEL], int(meta["labels"][EPOCH_LABEL])
        job = self.jobs.get(uid)
        if job is None:
            self._accuse(when, f"a run of a job that nobody applied at {site}")
            return
        name = job["metadata"]["name"]
        for (other, _), run in self.live.items():
            if run.job == uid:
                said = f"epoch {run.epoch} at {other}, epoch {epoch} at {site}"
                self._accuse(when, f"two live runs of {name}: {said}")
        self._check_place(when, name, job, site, "runs")
        gpus = job["spec"]["ray"]["workers"]["gpus"] * job["spec"]["ray"]["workers"]["count"]
        self.live[site, meta["namespace"]] = LiveRun(site, uid, epoch, gpus)
        held = sum(r.gpus for r in self.live.values() if r.site == site and not r.stopping)
        if held > self.sites[site][1]:
            self._accuse(when, f"{held} GPUs in use at {site}, which lends {self.sites[site][1]}")

    def _moves(self, site: str, namespace: str, body: dict[str, Any]) -> None:
        if (body.get("status") or {}).get("jobDeploymentStatus") in {"Complete", "Failed"}:
            self.live.pop((site, namespace), None)

    def _granted(self, when: str, made: dict[str, Any]) -> None:
        spec, site = made["spec"], made["metadata"]["namespace"].removeprefix(NODE_NAMESPACE_PREFIX)
        uid, epoch = spec["job"]["uid"], int(spec["epoch"])
        job = self.jobs.get(uid)
        if job is None:
            self._accuse(when, f"a grant of a job that nobody applied, for {site}")
            return
        name = job["metadata"]["name"]
        if (uid, epoch) in self.granted:
            self._accuse(when, f"epoch {epoch} of {name} was granted twice")
        self.granted.add((uid, epoch))
        self._check_place(when, name, job, site, "is granted")

    def _check_place(self, when: str, name: str, job: dict[str, Any], site: str, what: str) -> None:
        location = job["spec"]["residency"]["location"]
        if not lets_in(self.sites[site][0], location["allow"], location.get("deny", ())):
            self._accuse(when, f"{name} {what} at {site}, and may only in {location}")

    def _accuse(self, when: str, what: str) -> None:
        self.violations.append(f"{when} {what}")


def is_of_a_run(name: str) -> bool:
    """Tell whether a namespace is a run's."""
    return name.startswith(RUN_PREFIX)


def _asked_by(event: dict[str, Any]) -> str:
    return str((event.get("impersonatedUser") or event["user"])["username"])
