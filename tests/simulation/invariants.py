"""What must hold at every instant, checked at every write that any server commits.

A run is live from its RayJob's creation until its pods have ended, whether its API server knows that
or not: by themselves, with their namespace, or because nobody told them any more that they may live.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from e2e.lawful import lets_in
from hansa.api.kinds import AIJOB, SOVEREIGNNODE, WORKGRANT
from hansa.api.meta import EPOCH_LABEL, JOB_UID_LABEL
from hansa.model.times import from_rfc3339
from hansa.ports import Manifest
from hansa.reconcile.hub.status.nodes_and_pools import HEARTBEAT_SHOWN_S
from tests.simulation.happenings.law import Laws
from tests.simulation.kuberay import RAYJOBS
from tests.simulation.league import MOST_GPUS, SITES, League
from tests.simulation.loop import EPOCH_S
from tests.simulation.receipts import receipt_faults
from tests.simulation.servers.apiserver import NAMESPACES
from tests.simulation.servers.faults import Log

JOBS, GRANTS, NODES = AIJOB.path(), WORKGRANT.path(), SOVEREIGNNODE.path()
GOOD_ENDS = {"Succeeded": "succeeded", "AppFailed": "failed"}
"""How a job may end when nobody stops it: as its own program does, in a run of it."""


@dataclass(slots=True)
class LiveRun:
    """One run on one member's machines."""

    site: str
    job: str
    epoch: int
    gpus: int
    tenant: str
    stopping: bool = False


class Watchman:
    """Sees every committed write of every server."""

    def __init__(self, league: League, laws: Laws, log: Log, now_s: Callable[[], float]) -> None:
        self._league = league
        self._log = log
        self._now_s = now_s
        self.violations: list[str] = []
        self.acknowledged: dict[str, Manifest] = {}
        """Job → what its owner was told is accepted."""
        self.given_up: set[str] = set()
        """Jobs that their owners deleted, or that a restored backup lacks."""
        self.live: dict[tuple[str, str], LiveRun] = {}
        self.runs = 0
        self._nodes: dict[str, tuple[Manifest, float]] = {}
        """Node → its status without the heartbeat, and the heartbeat it shows."""
        self.writes: dict[str, int] = {}
        """Collection → writes so far that are not a sign of life."""
        league.hub_server.observers.append(self._on_hub)
        self.laws = laws
        self.begun: dict[str, set[str]] = {name: set() for name in SITES}
        """Site → runs that began there, as receipts call them."""
        self.ended: dict[str, set[str]] = {}
        """Job → how its runs' pods have ended."""
        for name, server in league.servers.items():
            server.observers.append(lambda *seen, at=name: self._on_member(at, *seen))
            league.machines[name].on_end.append(lambda *end, at=name: self._over(at, *end))

    def accuse(self, what: str) -> None:
        """Note a violation."""
        self.violations.append(f"{self._now_s():.3f} {what}")
        self._log(f"VIOLATION {what}")

    def _on_hub(self, change: str, collection: str, thing: Manifest) -> None:
        uid = thing["metadata"]["uid"]
        if collection != NODES or not self._is_heartbeat(thing):
            self._count("hub", collection)
        if collection == JOBS and change == "DELETED" and uid not in self.given_up:
            self.accuse(f"job {thing['metadata']['name']} is gone, and nobody deleted it")

    def _is_heartbeat(self, node: Manifest) -> bool:
        """Tell whether a write of a node shows a later heartbeat, at the pace agreed, and nothing else."""
        name, status = node["metadata"]["name"], dict(node.get("status") or {})
        shown_s = from_rfc3339(status.pop("lastHeartbeatTime", None)) or 0.0
        before, before_s = self._nodes.get(name, ({}, 0.0))
        self._nodes[name] = (status, shown_s)
        return status == before and shown_s - before_s >= HEARTBEAT_SHOWN_S

    def _count(self, server: str, collection: str) -> None:
        key = f"{server} {collection}"
        self.writes[key] = self.writes.get(key, 0) + 1

    def _on_member(self, site: str, change: str, collection: str, thing: Manifest) -> None:
        meta = thing["metadata"]
        self._count(site, collection)
        if collection == RAYJOBS and change == "ADDED":
            self._begins(site, thing)
        elif collection == NAMESPACES and change == "DELETED":
            self.live.pop((site, meta["name"]), None)
        elif collection == NAMESPACES and "deletionTimestamp" in meta:
            run = self.live.get((site, meta["name"]))
            if run is not None:
                run.stopping = True

    def _over(self, site: str, namespace: str, why: str) -> None:
        """Note that a run's pods have ended."""
        run = self.live.pop((site, namespace), None)
        if run is not None:
            self.ended.setdefault(run.job, set()).add(why)
            self._log(f"run {run.epoch} of {run.job[-4:]} at {site} is over: {why}")

    def _begins(self, site: str, thing: Manifest) -> None:
        self.runs += 1
        labels, where = thing["metadata"]["labels"], thing["metadata"]["namespace"]
        uid, epoch = labels[JOB_UID_LABEL], int(labels[EPOCH_LABEL])
        # A hub whose store went back gives an epoch anew, which only a member without its memory takes.
        if f"{uid}.{epoch}" in self.begun[site] and site not in self._league.forgetful:
            self.accuse(f"run {epoch} of {uid[-4:]} begins once more at {site}")
        self.begun[site].add(f"{uid}.{epoch}")
        job = self.acknowledged.get(uid)
        if job is None:
            self.accuse(f"a run of a job that nobody applied at {site}")
            return
        name, spec, tenant = job["metadata"]["name"], job["spec"], job["metadata"]["namespace"]
        self._log(f"run {name}.{epoch} begins at {site}")
        for (other, _), run in self.live.items():
            if run.job == uid:
                self.accuse(f"two live runs of {name}: {run.epoch} at {other}, {epoch} at {site}")
        location = spec["residency"]["location"]
        if not lets_in(SITES[site][0], location["allow"], location.get("deny", ())):
            self.accuse(f"{name} runs at {site}, and may only in {location}")
        if law := self.laws.forbids(site, tenant):
            self.accuse(f"{name} begins at {site}, where the law has forbidden it: {law}")
        gpus = spec["ray"]["workers"]["count"]
        self.live[site, where] = LiveRun(site, uid, epoch, gpus, tenant)
        used = sum(r.gpus for r in self.live.values() if r.tenant == tenant and not r.stopping)
        if used > MOST_GPUS[tenant]:
            self.accuse(f"{used} GPUs in use by {tenant}, which may use {MOST_GPUS[tenant]}")
        held = sum(r.gpus for r in self.live.values() if r.site == site and not r.stopping)
        if held > SITES[site][1]:
            self.accuse(f"{held} GPUs in use at {site}, which lends {SITES[site][1]}")

    def restored(self) -> None:
        """Take in that the hub's store has gone back: what it lacks is lost, and what it holds was deleted
        only where it says so itself.
        """
        jobs = [thing["metadata"] for thing in self._league.hub_server.objects[JOBS].values()]
        held = {job["uid"] for job in jobs if "deletionTimestamp" not in job}
        self.given_up = {uid for uid in self.acknowledged if uid not in held}

    def check_laws(self) -> None:
        """No run goes on that a member's law has stopped."""
        for run in self.live.values():
            if law := self.laws.stops(run):
                self.accuse(f"run {run.epoch} of {run.job[-4:]} goes on at {run.site}: {law}")

    # At the end.

    def check_settled(self) -> None:
        """Every acknowledged job has ended well or by its own program; nothing of it is left at work."""
        before = len(self.violations)
        held = {t["metadata"]["uid"]: t for t in self._league.hub_server.objects[JOBS].values()}
        for uid, job in self.acknowledged.items():
            name = job["metadata"]["name"]
            if uid in self.given_up:
                if uid in held:
                    self.accuse(f"{name} was deleted, and is still there: {_words(held[uid])}")
            elif uid not in held:
                self.accuse(f"job {name} is lost")
            elif _end(held[uid]) not in GOOD_ENDS:
                self.accuse(f"{name} has not ended well: {_words(held[uid])}")
            elif GOOD_ENDS[_end(held[uid])] not in self.ended.get(uid, ()):
                self.accuse(f"{name} ended otherwise than is told: {_words(held[uid])}")
        self.check_nothing_left()
        if len(self.violations) > before:
            return  # the receipts are what takes long
        for fault in receipt_faults(self._league, self.begun, EPOCH_S + self._now_s()):
            self.accuse(f"receipts at {fault}")

    def check_nothing_left(self) -> None:
        """No grant, no run's namespace and no volume is anywhere."""
        grants = [name for _, name in self._league.hub_server.objects[GRANTS]]
        if grants:
            self.accuse(f"grants left: {grants}")
        for site, server in self._league.servers.items():
            for collection, things in server.objects.items():
                left = [t for t in things.values() if _is_a_runs(t)]
                if left:
                    self.accuse(f"left at {site}: {collection} {left[0]['metadata']['name']}")


def _is_a_runs(thing: Manifest) -> bool:
    return JOB_UID_LABEL in (thing["metadata"].get("labels") or {})


def _conditions(job: Manifest) -> dict[str, Any]:
    return {c["type"]: c for c in (job.get("status") or {}).get("conditions") or ()}


def _end(job: Manifest) -> str:
    said = _conditions(job)
    for kind in ("Succeeded", "Failed"):
        if said.get(kind, {}).get("status") == "True":
            return str(said[kind]["reason"])
    return ""


def _words(job: Manifest) -> str:
    status = job.get("status") or {}
    rows = [f"{c['type']}={c['status']}/{c['reason']}" for c in _conditions(job).values()]
    return f"node={status.get('node')} epoch={status.get('epoch')} {' '.join(rows)}"
