"""One round: a hub turns on a member whose agent is a real process, and turns back again."""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, field
from typing import Any

from e2e.testbed.cluster.controlplane import ControlPlane
from e2e.testbed.host.clock import elapsed_s
from e2e.testbed.host.usage import cpu_seconds, peak_rss_mib
from hansa.errors import HansaError
from hansa.grants import envelope
from hansa.grants.reasons import MemberReason
from hansa.model.times import from_rfc3339
from hansa.ports import Manifest
from tests import hostile
from tests.apiserver.fuzz.proxy import HostileProxy
from tests.apiserver.fuzz.spoiling import ANSWERS, LISTS, WATCHES
from tests.apiserver.member.agent_process import AgentProcess
from tests.apiserver.member.kit import Hub, Member, job_spec, policy, until, workload
from tests.hostile import Random

SHARE = 0.6
"""Of a turned hub's answers are spoilt: the rest keeps the agent from giving up."""
MOST_RUNS = 40
LOOK_S = 0.5
STATUS = {
    "conditions": [
        {"type": "Running", "status": "False", "reason": "x", "lastTransitionTime": "x"},
        {"type": "Accepted", "status": "Unknown", "reason": "x", "lastTransitionTime": "x"},
    ],
    "observedGeneration": 1,
    "result": "x",
    "exports": [{"name": "result", "state": "Waiting"}],
    "release": None,
}
LEASES = "/apis/coordination.k8s.io/v1/namespaces/{}/leases/{}"
TIMING = {
    "HANSA_MEMBER_TIMING__HEARTBEAT_SECONDS": "0.5",
    "HANSA_MEMBER_TIMING__HUB_ANSWER_SECONDS": "2",
    "HANSA_MEMBER_TIMING__RESYNC_SECONDS": "3",
}


@dataclass(slots=True)
class Figures:
    """What a round came to."""

    seed: int
    seconds: float = 0.0
    answers: int = 0
    spoilt: dict[str, int] = field(default_factory=dict)
    hostile_grants: int = 0
    agent_deaths: int = 0
    traces: int = 0
    """Faults of ours that the agent outlived: each is one too many."""
    stop_s: float = 0.0
    back_s: float = 0.0
    """From the hub's turning back to the next renewal there."""
    slowest_probe_s: float = 0.0
    own_lease_age_s: float = 0.0
    """Longest without a renewal of its leadership at home."""
    rss_quiet_mib: float = 0.0
    rss_peak_mib: float = 0.0
    cpu_s: float = 0.0
    log_bytes: int = 0
    page_bytes: int = 0
    events: int = 0
    redirects_followed: int = 0

    def line(self) -> str:
        """Return all of it as JSON."""
        return json.dumps(asdict(self))


def grant_maker(hub: Hub) -> Any:
    """Return what makes hostile grants of this hub, validly signed for the most part."""
    good = hub.spec(job_spec())

    def make(rng: Random) -> Manifest:
        uid = str(uuid.UUID(int=rng.getrandbits(128), version=4))
        job = {"namespace": "hospital", "name": "study", "uid": uid}
        spec = hostile.grant_spec(rng, good | {"job": job}, hub.signer)
        name = envelope.grant_name(uid, 1)
        metadata = {
            "name": name,
            "namespace": hub.namespace,
            "uid": str(uuid.UUID(int=rng.getrandbits(128), version=4)),
            "resourceVersion": str(rng.choice((1, rng.randrange(1 << 40)))),
            "generation": 1,
            "creationTimestamp": "2026-01-01T00:00:00Z",
        }
        made: Manifest = {"apiVersion": "hansa.dev/v1alpha1", "kind": "WorkGrant"}
        made |= {"metadata": metadata, "spec": spec}
        if rng.randrange(3) == 0:
            made["status"] = hostile.mutated(rng, STATUS, changes=2)
        # An event without an object ends a watch: few of them, or nothing else gets through.
        return hostile.mutated(rng, made, changes=2) if rng.randrange(60) == 0 else made

    return make


@contextlib.asynccontextmanager
async def turned(
    hub: Hub, plane: ControlPlane, member: Member, rng: Random
) -> AsyncIterator[HostileProxy]:
    """Put a hostile proxy in the cable's place."""
    await member.cable.cut()
    proxy = HostileProxy(plane, rng, grant_maker(hub))
    proxy.how, proxy.how_listed, proxy.how_watched = dict(ANSWERS), dict(LISTS), dict(WATCHES)
    await proxy.open(member.cable.port)
    try:
        yield proxy
    finally:
        await proxy.close()


class Watcher:
    """Looks at the agent all the while: its probe, its lease at home."""

    def __init__(self, member: Member, agent: AgentProcess, figures: Figures) -> None:
        self._member, self._agent, self._figures = member, agent, figures

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await self._look()
            await asyncio.sleep(LOOK_S)

    def _probe(self) -> tuple[str, float]:
        began = elapsed_s()
        page = self._agent.page("/healthz")
        return page, elapsed_s() - began

    async def _look(self) -> None:
        page, took = await asyncio.to_thread(self._probe)
        self._figures.slowest_probe_s = max(self._figures.slowest_probe_s, took)
        if page != "ok" and self._agent.running:
            self._figures.slowest_probe_s = float("inf")
        node, namespace = self._member.settings.node, self._member.settings.namespace
        with contextlib.suppress(HansaError):
            lease = await self._member.cluster.get(LEASES.format(namespace, f"hansa-member-{node}"))
            age = self._member.cluster._clock.now() - (_renewed(lease) or 0.0)
            self._figures.own_lease_age_s = max(self._figures.own_lease_age_s, age)


def _renewed(lease: Manifest) -> float | None:
    return from_rfc3339((lease.get("spec") or {}).get("renewTime"))


async def play(
    hub: Hub, member: Member, proxy: HostileProxy, agent: AgentProcess, figures: Figures
) -> None:
    """1. Quiet. 2. The hub turns. 3. The institution stops all, meanwhile. 4. The hub turns back."""
    began, pid = elapsed_s(), agent.pid
    await member.decree(policy(hub, maxConcurrentJobs=MOST_RUNS))
    first = hub.spec()
    await hub.grant(first)
    await member.made(workload(first))
    await asyncio.sleep(3)
    figures.rss_quiet_mib = peak_rss_mib(pid)
    looking = asyncio.create_task(Watcher(member, agent, figures).run())
    try:
        await proxy.turn(SHARE)
        await asyncio.sleep(figures.seconds)
        if not agent.running:
            return
        assert not await member.gone(workload(first)), "a hub that turns ends no run"
        await _stop_all(hub, member, first, figures)
        await member.decree(policy(hub, maxConcurrentJobs=10_000, switch="Open"))
        await proxy.turn(0.0)
        await _is_back(hub, member, figures)
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
        figures.agent_deaths += not agent.running
        _count(figures, proxy, agent)
    figures.seconds = round(elapsed_s() - began, 1)


async def _stop_all(hub: Hub, member: Member, first: Manifest, figures: Figures) -> None:
    began = elapsed_s()
    await member.decree(policy(hub, maxConcurrentJobs=MOST_RUNS, switch="Stopped"))
    await until(lambda: member.gone(workload(first)), "the run to be gone")
    labels = f"hansa.dev/node={hub.node}"

    async def nothing_runs() -> bool:
        page = await member.cluster.list("/api/v1/namespaces", labels=labels)
        return not page.items

    await until(nothing_runs, "all runs to be gone")
    figures.stop_s = round(elapsed_s() - began, 2)


async def _is_back(hub: Hub, member: Member, figures: Figures) -> None:
    """The agent renews at the hub, takes a new grant and makes its run, under the same process."""
    began, now = elapsed_s(), member.cluster._clock.now()

    async def renewed() -> bool:
        lease = await hub.cluster.get(LEASES.format(hub.namespace, "hansa-node"))
        return (_renewed(lease) or 0.0) > now

    await until(renewed, "a renewal at the hub")
    figures.back_s = round(elapsed_s() - began, 2)
    await member.made(workload(await until(lambda: _accepted(hub), "a grant to be accepted")))


async def _accepted(hub: Hub) -> Manifest | None:
    """Grant once; a refusal that passes by itself is none of the hub's doing.

    Without GPUs: what the hub has made up holds those until its grants are listed again and missed.
    """
    spec = hub.spec(job_spec(ray={"version": "2.60.0"}))
    said = await hub.said(await hub.grant(spec), "Accepted")
    passes = said["status"] == "False" and MemberReason(said["reason"]).transient
    assert passes or said["status"] == "True", said
    return None if passes else spec


def _by_kind(told: dict[str, int]) -> Counter[str]:
    kinds: Counter[str] = Counter()
    for name, count in told.items():
        kinds[name.rstrip("0123456789 ")] += count
    return kinds


def _count(figures: Figures, proxy: HostileProxy, agent: AgentProcess) -> None:
    told = dict(proxy.told)
    figures.answers = told.pop("answers", 0)
    figures.spoilt = dict(_by_kind(told))
    figures.hostile_grants = proxy.grants
    figures.redirects_followed = proxy.trapped
    log = agent.log.read_text(errors="replace")
    figures.log_bytes = len(log)
    figures.traces = log.count("Traceback")
    if agent.running:
        figures.rss_peak_mib, figures.cpu_s = peak_rss_mib(agent.pid), cpu_seconds(agent.pid)
        figures.page_bytes = len(agent.page("/metrics"))
