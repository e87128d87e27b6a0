"""A hub without its sockets: real caches, controller, planning loop and executor over a store.

The store answers like an API server as far as the hub can tell: resourceVersions, conflicts on
them, and on names. Its watch is delivered when the test says so.
"""

from __future__ import annotations

from typing import Any

from hansa.adapters.keys import Ed25519Signer
from hansa.api.kinds import AIJOB, COMPUTEPOOL, SOVEREIGNNODE, WORKGRANT
from hansa.hub.caches import LEASES, Caches
from hansa.hub.controller import Controller
from hansa.hub.executor import Executor, GrantTerms
from hansa.hub.league_cache import LeagueCache
from hansa.hub.node_reconciler import NodeReconciler
from hansa.hub.object_key import ObjectKey
from hansa.hub.planner.loop import PlanningLoop
from hansa.hub.planner.pricing import Pricing
from hansa.model.snapshot import ShadowPrices
from hansa.model.times import rfc3339
from hansa.observability.instruments import Instruments
from hansa.observability.recorder import EventRecorder, Limit
from hansa.placement.pricing import shadow_prices
from hansa.placement.pricing.market import Market
from hansa.ports import Manifest
from hansa.process.workqueue import NORMAL, WorkQueue
from hansa.reconcile.hub.actions import EmitEvent
from hansa.reconcile.hub.leaders.division import WHOLE, Division
from tests.residency_kit import EVERYWHERE
from tests.unit.hub.driving import driven, here
from tests.unit.hub.store import Store, Time, copied
from tests.unit.reconcile.hub.hub_objects import (
    LIMITS,
    SKEW_S,
    SPEC,
    condition,
    job_manifest,
    node_manifest,
)

SIGNER = Ed25519Signer.generate()


class StepQueue(WorkQueue[ObjectKey]):
    """The queue's order without its clock: what is to come back later does when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.lanes: tuple[dict[ObjectKey, None], ...] = ({}, {}, {})
        self.later: dict[ObjectKey, int] = {}

    def __len__(self) -> int:
        return sum(map(len, self.lanes))

    def add(self, key: ObjectKey, lane: int = NORMAL) -> None:
        if not any(key in better for better in self.lanes[: lane + 1]):
            for worse in self.lanes[lane:]:
                worse.pop(key, None)
            self.lanes[lane][key] = None

    def add_later(self, key: ObjectKey, delay_s: float, lane: int = NORMAL) -> None:  # noqa: ARG002  # see above
        self.later[key] = lane

    def come_back(self) -> None:
        later, self.later = self.later, {}
        for key, lane in later.items():
            self.add(key, lane)

    async def take(self) -> ObjectKey:
        lane = next(lane for lane in self.lanes if lane)
        key = next(iter(lane))
        del lane[key]
        return key

    def done(self, key: ObjectKey) -> None:
        """Nothing else is at work."""

    def failed(self, key: ObjectKey, *, after_s: float = 0.0) -> None:
        self.add_later(key, after_s)

    def clear(self) -> None:
        for kept in (*self.lanes, self.later):
            kept.clear()


class HubKit:
    """One replica over a store, driven step by step."""

    def __init__(self, store: Store, clock: Time, division: Division = WHOLE) -> None:
        self.store, self.clock, self.leads = store, clock, False
        self.instruments = Instruments("hub")
        self.queue = StepQueue()
        self.caches = Caches(
            store, clock, on_change=self._on_change, resync_s=600, division=division
        )
        self.league = LeagueCache(self.caches, LIMITS)
        self.plans = PlanningLoop(
            self.caches,
            self.league,
            clock=clock,
            instruments=self.instruments,
            skew_s=SKEW_S,
            coalesce_s=0.0,
            beside=here,
        )
        self.pricing = Pricing(self.plans, self.solve, clock=clock, instruments=self.instruments)
        nodes = NodeReconciler(self.caches, self.league, self.plans, clock=clock)
        self.controller = Controller(
            self.caches,
            self.plans,
            nodes,
            self.queue,
            clock=clock,
            instruments=self.instruments,
            skew_s=SKEW_S,
        )
        recorder = EventRecorder(
            store, clock, controller="hub", instance="hub", limit=Limit(per_second=0, burst=0)
        )
        self.executor = Executor(
            store,
            self.caches,
            clock=clock,
            terms=GrantTerms(SIGNER, 600, SKEW_S),
            still_leader=lambda: self.leads,
            recorder=recorder,
            instruments=self.instruments,
        )
        self.seen = 0
        """News of the store taken in."""

    def _on_change(self, kind: str, change: Any, thing: Manifest) -> None:
        self.controller.on_change(kind, change, thing)

    async def solve(self, market: Market) -> ShadowPrices:
        """Find prices here and now."""
        return shadow_prices.solve(market).prices

    def lead(self) -> None:
        """Win the election."""
        self.leads = True
        self.controller.on_leadership(leading=True)
        driven(self.controller.resync())

    def step_down(self) -> None:
        """Lose it."""
        self.leads = False
        self.controller.on_leadership(leading=False)

    def hear(self) -> None:
        """Let the watches deliver what happened since."""
        news, self.seen = self.store.news[self.seen :], len(self.store.news)
        for change, thing in news:
            mirror = getattr(self.caches, MIRRORS[thing["kind"]])
            (mirror.drop if change == "DELETED" else mirror.put)(copied(thing))

    def plan(self) -> list[tuple[str, bool]]:
        """Plan once, as the loop does while it leads."""
        if not self.leads:
            self.plans._job_index.changed.clear()
            return []
        changed = driven(self.plans.replan())
        self.controller.queue_decisions(iter(changed))
        return changed

    def work(self, most: int = 1 << 30) -> int:
        """Process keys of jobs until none is left, or ``most``; return how many."""
        step = self._work(most)
        try:
            step.send(None)
        except StopIteration as end:
            return int(end.value)
        raise AssertionError("the store answers at once, and the queue was not empty")

    async def _work(self, most: int) -> int:
        done = 0
        while len(self.queue) and done < most:
            key = await self.queue.take()
            if key.kind == "job":
                self.controller._give_back(key, await self.controller._process(self.executor, key))
            done += 1
        return done

    def upkeep(self) -> list[str]:
        """Do what a tick makes due for nodes and pools; return the reasons of what is told of them."""
        kinds = {"node": self.caches.nodes, "pool": self.caches.pools}
        keys = [ObjectKey(kind, name) for kind, mirror in kinds.items() for name in mirror]
        told = [
            said.reason
            for key in keys
            for said in self.controller.derive(key)
            if isinstance(said, EmitEvent)
        ]
        for key in keys:
            try:
                self.controller._process(self.executor, key).send(None)
            except StopIteration as end:
                self.controller._give_back(key, end.value)
        return told

    def settle_down(self, rounds: int = 12) -> None:
        """Hear, plan and work for a while, or until nothing is left to do."""
        for _ in range(rounds):
            self.hear()
            self.plan()
            if not len(self.queue):
                return
            self.work()


def led(store: Store, clock: Time, division: Division = WHOLE) -> HubKit:
    """Return a hub that has read the store and leads; it has planned nothing yet."""
    hub = HubKit(store, clock, division)
    hub.hear()
    hub.lead()
    return hub


def later(hub: HubKit, seconds: float = 1.0) -> None:
    """Let time pass, and the hub do what is due."""
    hub.clock.now_s += seconds
    hub.settle_down()


MIRRORS = {
    "AIJob": "jobs",
    "WorkGrant": "grants",
    "Lease": "leases",
    "SovereignNode": "nodes",
    "ComputePool": "pools",
    "Namespace": "namespaces",
    "Project": "projects",
}


def node(store: Store, name: str, status: Any = None, **spec: Any) -> None:
    """Write a node, and its Lease."""
    path = SOVEREIGNNODE.path(name=name)
    known = store.objects.get(path, {"metadata": {"generation": 0}})
    pinned = {"releaseKey": SIGNER.public_key}
    thing = {"kind": "SovereignNode", **node_manifest(name, status, **pinned | spec)}
    thing["metadata"] |= {"generation": known["metadata"]["generation"] + 1}
    told = (known.get("status") or {}).get("conditions")
    thing["status"] = {**(thing.get("status") or {}), **({"conditions": told} if told else {})}
    store.put(path, thing)
    beat(store, name)


def beat(store: Store, name: str) -> None:
    """Renew a node's Lease."""
    meta = {"name": "hansa-node", "namespace": f"hansa-node-{name}", "uid": f"lease-{name}"}
    spec = {"renewTime": rfc3339(store.clock.now())}
    store.put(f"{LEASES}/{name}", {"kind": "Lease", "metadata": meta, "spec": spec})


def pool(store: Store, name: str = "league", **spec: Any) -> None:
    meta = {"name": name, "uid": f"pool-{name}", "generation": 1}
    path = COMPUTEPOOL.path(name=name)
    told = store.objects.get(path, {}).get("status", {})
    store.put(
        path,
        {
            "kind": "ComputePool",
            "metadata": meta,
            "spec": {"residency": EVERYWHERE, **spec},
            "status": told,
        },
    )


def namespace(store: Store, name: str = "clinic", institution: str = "clinic") -> None:
    meta = {"name": name, "uid": f"ns-{name}", "labels": {"hansa.dev/institution": institution}}
    store.put(f"/namespaces/{name}", {"kind": "Namespace", "metadata": meta})


def job_path(name: str, space: str = "clinic") -> str:
    return AIJOB.path(space, name)


def submit(store: Store, name: str, space: str = "clinic", **spec: Any) -> str:
    """Write an AIJob; return its uid."""
    uid = f"uid-of-{space}-{name}"
    meta = {"name": name, "namespace": space, "uid": uid}
    meta["creationTimestamp"] = rfc3339(store.clock.now())
    store.put(job_path(name, space), {"kind": "AIJob", **job_manifest(meta=meta, **spec)}, "ADDED")
    return uid


def respec(store: Store, path: str, **spec: Any) -> None:
    """Change an AIJob's spec."""
    old = store.objects[path]
    meta = {**old["metadata"], "generation": old["metadata"]["generation"] + 1}
    store.put(path, {**old, "metadata": meta, "spec": {**old["spec"], **spec}})


def erase(store: Store, path: str) -> None:
    """Ask for the deletion of an AIJob; a finalizer holds it."""
    old = store.objects[path]
    if not old["metadata"].get("finalizers"):
        store.remove(path)
        return
    meta = {**old["metadata"], "deletionTimestamp": rfc3339(store.clock.now())}
    store.put(path, {**old, "metadata": meta})


def grants(store: Store) -> dict[str, Manifest]:
    """Path → WorkGrant, in order of path."""
    return {
        path: thing for path, thing in sorted(store.objects.items()) if thing["kind"] == "WorkGrant"
    }


def answer(store: Store, path: str, status: Manifest) -> None:
    """Let the member write a grant's status."""
    store.put(path, {**store.objects[path], "status": status})


def gpus(count: int, each: int = 1, **more: Any) -> Manifest:
    """Spec fields of a job with GPUs."""
    workers = {"count": count, "gpus": each, "cpu": "1", "memory": "1Gi", **more}
    return {"ray": {**SPEC["ray"], "workers": workers}}


def lent(machines: int = 2, each: int = 8, gpu_class: str = "nvidia-l40s") -> Manifest:
    """Status fields of a node with GPUs of one class."""
    row = {"machines": machines, "gpuClass": gpu_class, "gpus": each, "gpuMemory": "48Gi"}
    return {
        "inventory": [{"gpuClass": gpu_class, "memory": "48Gi", "total": machines * each}],
        "shapes": [row | {"cpu": "256", "memory": "1Ti"}],
        "releaseKey": SIGNER.public_key,
    }


__all__ = ["WORKGRANT", "condition"]


def one_job(clock: Time) -> Store:
    """A league of one node and one job."""
    store = Store(clock)
    namespace(store)
    pool(store)
    node(store, "tartu", lent())
    submit(store, "study", **gpus(1))
    return store
