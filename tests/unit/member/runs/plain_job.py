"""A workload that is no RayJob, and an agent that runs it over a scripted cluster."""

from __future__ import annotations

import asyncio
import contextlib

from e2e.testbed.host.clock import PATIENCE_S
from hansa.api.kinds import SOVEREIGNNODE, WORKGRANT
from hansa.grants.envelope import grant_name, workload_name
from hansa.member import wiring
from hansa.member.cluster.cluster_state import Canary, KubeRay
from hansa.member.cluster.policy import HeldPolicy
from hansa.member.settings import MemberSettings
from hansa.model.times import from_rfc3339
from hansa.observability.instruments import Instruments
from hansa.reconcile.member.end_reasons import EndReason
from hansa.reconcile.member.run_request import RESOLVER
from hansa.reconcile.member.workload import (
    Autopsy,
    Finding,
    Output,
    OutputSource,
    Rendering,
    Resource,
    WorkloadView,
)
from tests.unit.grants.grant_kit import NODE, NOW_S, UID, grant, job, policy
from tests.unit.member.small_cluster import SmallCluster

RUN = workload_name(UID, 3)
GRANT = WORKGRANT.path("hansa-node-tartu", grant_name(UID, 3))
NAMESPACE = f"/api/v1/namespaces/{RUN}"
WORK = f"/apis/batch/v1/namespaces/{RUN}/jobs/{RUN}"
PLAIN = {"data": [], "ray": {"version": "2.60.0"}}
SETTINGS = MemberSettings(node="tartu", timing={"retry_seconds": 0.01, "tick_seconds": 0.02})


class PlainJob:
    """A Kubernetes Job of one pod."""

    serves = frozenset({"Batch"})
    resource = Resource("batch", "v1", "Job", "jobs")
    output_source = OutputSource("app=plain", "main")

    def render(self, request):
        spec = {"template": {"spec": {"containers": [{"image": request.job.image}]}}}
        return Rendering(spec, {"pods": "1"}, {"hello.txt": "hello"})

    def observe(self, thing):
        status = thing.get("status") or {}
        since_s = from_rfc3339(status.get("startTime"))
        return WorkloadView(
            created_s=NOW_S,
            started=since_s is not None,
            running=since_s is not None,
            running_s=since_s,
            end=EndReason.SUCCEEDED if status.get("succeeded") else None,
            ended_s=from_rfc3339(status.get("completionTime")),
        )

    def diagnose(self, end, traces):
        return Finding(end, f"{len(traces.pods)} pods")

    def head(self, _):
        return ""

    def missing(self, _):
        return 0

    def autopsy(self, traces):
        return Autopsy(machines=frozenset(pod["metadata"]["name"] for pod in traces.pods))

    def output(self, log):
        return Output(tail=log.upper())


class Still:
    """A clock that stands."""

    def now(self):
        return NOW_S

    def monotonic(self):
        return 0.0


class Running:
    """An agent without duties: it reads, judges and carries runs."""

    def __init__(self, own=None):
        """``own``: the member's cluster as an agent before has left it."""
        self.own, self.hub = own or SmallCluster(NOW_S), SmallCluster(NOW_S)
        resolver = {"metadata": {"name": RESOLVER}, "spec": {"clusterIP": "10.96.0.53"}}
        self.own.put(f"/api/v1/namespaces/hansa-system/services/{RESOLVER}", resolver)
        clients = wiring.Clients(self.own, self.hub, lambda: 0.0, NODE, NOW_S)
        self.parts = wiring.assemble(
            SETTINGS,
            clients,
            clock=Still(),
            instruments=Instruments("member"),
            jitter=lambda: 0.0,
        )
        state = self.parts.context.cluster_state
        state.canary, state.kuberay = Canary("Denied", ""), KubeRay("1.6.1", "", "")
        state.resolver = "10.96.0.53"
        node = {"metadata": {"name": "tartu"}, "spec": {}}
        self.hub.put(SOVEREIGNNODE.path(name="tartu"), node)
        exports = {"logs": "Allow", "result": "Allow"}
        state.put_policy(HeldPolicy(policy(datasets=[], exports=exports), 1, "u", ""))

    def granted(self, **changes):
        spec = grant(job(**PLAIN | changes))
        name = grant_name(UID, 3)
        metadata = {"name": name, "namespace": "hansa-node-tartu", "generation": 1}
        self.hub.put(GRANT, {"metadata": metadata, "spec": spec})
        return spec

    def said(self, kind):
        """Status and reason of one condition of the grant."""
        rows = self.hub.objects[GRANT].get("status", {}).get("conditions", ())
        return next(((r["status"], r["reason"]) for r in rows if r["type"] == kind), None)

    def words(self, kind):
        rows = self.hub.objects[GRANT].get("status", {}).get("conditions", ())
        return next((r["message"] for r in rows if r["type"] == kind), "")

    def status(self):
        return self.hub.objects[GRANT].get("status", {})

    async def until(self, condition):
        async with asyncio.timeout(PATIENCE_S):
            while True:
                if condition():
                    return
                await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def working(agent):
    """Run the parts of an agent that concern runs."""
    context = agent.parts.context
    await agent.parts.metering.ask_hub()
    caches = [context.namespaces, *(one.objects for one in context.watched)]
    jobs = [cache.run() for cache in caches]
    tasks = [asyncio.create_task(one) for one in jobs]
    for cache in caches:
        await cache.wait_synced()
    context.judging.set()
    parts = (context.grants.run(), agent.parts.judge.run(), agent.parts.run_controller.work())
    tasks += [asyncio.create_task(one) for one in parts]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
