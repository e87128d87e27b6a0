"""How long ``Stopped`` takes with fifty running jobs, whatever is down: from the decree to the last pod.

Real are the API servers, the controllers, the scheduler, KubeRay's operator, the agent and the guard,
each a process of its own. Hollow is the kubelet: KWOK plays it, and keeps every pod for the whole of the
time that it is given to end. The hub is scripted; down is one whose line is cut.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from e2e.testbed.addons import kuberay, kwok, second_lock
from e2e.testbed.build.binaries import Binaries
from e2e.testbed.cluster.controlplane import ControlPlane
from e2e.testbed.cluster.readiness import wait_service_account
from e2e.testbed.cluster.spec import Gpus, SiteSpec
from e2e.testbed.host import processes
from e2e.testbed.host.clock import TIMEOUT
from hansa.reconcile.member.run_request import RESOLVER
from tests.apiserver.guard import hung_agents
from tests.apiserver.guard.kit import NAMESPACES, SYSTEM, guarding
from tests.apiserver.member.agent_process import AgentProcess
from tests.apiserver.member.kit import Hub, Member, install, job_spec, policy, until

pytestmark = [pytest.mark.apiserver, pytest.mark.soak]

RESULTS = "HANSA_STOP_TIMES"
"""Environment variable: the file that every measurement is appended to, as a line of JSON."""
RUNS = int(os.environ.get("HANSA_STOP_RUNS", "50"))
LIMIT_S = 30.0
GUARD_PASS_S = 3
"""The guard's default; tests elsewhere hurry it."""
SITE = SiteSpec(
    "m", "EE", Gpus("NVIDIA-GeForce-RTX-4090", 24564, 32), machines=4, cpus=256, memory_gib=1024
)
UNREADABLE = {"jurisdiction": "EE-99", "legalControl": ["EE-99"]}
"""The codes have the right form and there is no such place."""
CRDS = Path(__file__).parents[3] / "crds"
GRACE = "  delay:\n    durationFrom: {expressionFrom: '.metadata.deletionTimestamp'}\n"
JOB = job_spec(
    ray={
        "version": "2.60.0",
        "head": {"cpu": "250m", "memory": "1Gi"},
        "workers": {"count": 1, "cpu": "250m", "memory": "1Gi", "gpus": 1},
    }
)


def hollow_kubelet(source: Path) -> str:
    """Return how KWOK plays pods: they come up at once, and go when their time is up."""
    played = kwok.stages(source, rayjobs=False)
    before, after = played.split("  name: pod-delete\n", 1)
    spec, rest = after.split("  next:\n", 1)
    return before + "  name: pod-delete\n" + spec + GRACE + "  next:\n" + rest


@pytest.fixture(scope="module")
def member_plane(
    binaries: Binaries, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ControlPlane]:
    """A member's cluster whose machines are played, with KubeRay's own operator."""
    binaries.ensure("kube-scheduler", "kwok", "manager", "helm")
    folder = tmp_path_factory.mktemp("stopping")
    with ControlPlane(binaries, controllers=True, scheduler=True, audit=None) as plane:
        install(plane, CRDS / "memberpolicies.yaml")
        kuberay.install_crds(plane, binaries)
        second_lock.install(plane, binaries, Path("/srv"))
        for namespace in (SYSTEM, kuberay.NAMESPACE):
            plane.kubectl("create", "namespace", namespace)
        plane.kubectl("create", "service", "clusterip", RESOLVER, "--tcp=53", "-n", SYSTEM)
        wait_service_account(plane, SYSTEM)
        (folder / "kwok.yaml").write_text(hollow_kubelet(binaries.source_of("kwok")))
        identity = plane.kubeconfig_for(second_lock.KUBERAY, second_lock.MASTERS)
        operator = (f"-kubeconfig={identity}", "-enable-leader-election=false")
        operator += ("-metrics-addr=0", "-health-probe-bind-address=0", "-reconcile-concurrency=8")
        programs = {
            "kwok": kwok.command(binaries, plane.kubeconfig, folder / "kwok.yaml"),
            "kuberay": [binaries["manager"], *operator],
        }
        started = [
            processes.start(name, argv, log=folder / f"{name}.log", die_with_parent=True)
            for name, argv in programs.items()
        ]
        plane.apply(*(kwok.machine(SITE, number) for number in range(SITE.machines)))
        plane.kubectl("wait", "node", "--all", "--for=condition=Ready", TIMEOUT)
        yield plane
        processes.check_alive(started, folder)
        for process in started:
            process.stop()


@dataclass(frozen=True)
class Trial:
    """A member at work and what goes wrong there."""

    hub: Hub
    member: Member
    agent: AgentProcess

    async def stop(self, **changes: Any) -> None:
        await self.member.decree(
            policy(self.hub, switch="Stopped", maxConcurrentJobs=RUNS, **changes)
        )


async def hub_down(trial: Trial) -> None:
    await trial.member.cable.cut()


async def agent_killed(trial: Trial) -> None:
    await hung_agents.kill(trial.agent, trial.member)


async def agent_frozen(trial: Trial) -> None:
    await hung_agents.freeze(trial.agent, trial.member)


async def memory_full(trial: Trial) -> None:
    await hung_agents.fill_its_memory(trial.agent, trial.member)


async def policy_unreadable(_: Trial) -> None:
    """Comes with the decree: a law that names a place there is not."""


Fault = Callable[[Trial], Awaitable[None]]
SITUATIONS: tuple[Fault, ...] = (
    hub_down,
    agent_killed,
    agent_frozen,
    memory_full,
    policy_unreadable,
)


@pytest.fixture
def trial(granting_hub: Hub, joined_member: Member, tmp_path: Path) -> Iterator[Trial]:
    process = AgentProcess(joined_member, "agent", tmp_path, 10)
    yield Trial(granting_hub, joined_member, process)
    process.kill()


@pytest.mark.parametrize("fault", SITUATIONS, ids=lambda fault: fault.__name__)
async def test_all_pods_are_gone_in_time(
    trial: Trial, tmp_path: Path, fault: Fault, record_property: Any
):
    hub, member = trial.hub, trial.member
    await member.decree(policy(hub, maxConcurrentJobs=RUNS))
    with guarding(hub.node, member.plane.kubeconfig, tmp_path, pass_seconds=GUARD_PASS_S):
        await asyncio.gather(*(hub.grant(hub.spec(JOB)) for _ in range(RUNS)))
        await until(lambda: _run(member), f"{RUNS} jobs to run")
        await fault(trial)
        changes = UNREADABLE if fault is policy_unreadable else {}
        told_s, gone_s = await _gone(member, lambda: trial.stop(**changes))
    if fault is memory_full:
        await hung_agents.empty_its_memory(member)
    p99_s = round(float(np.percentile(gone_s, 99)), 1)
    said = f"{p99_s} s ({len(gone_s)} pods of {RUNS} runs, the last told after {max(told_s):.1f} s)"
    record_property(f"Stopped, {fault.__name__}: all pods gone, p99", said)
    _note({"situation": fault.__name__, "p99_s": p99_s})
    assert p99_s <= LIMIT_S, said


def _note(row: dict[str, object]) -> None:
    if path := os.environ.get(RESULTS):
        with Path(path).open("a", encoding="utf-8") as results:
            results.write(json.dumps(row) + "\n")


async def _pods(member: Member) -> dict[str, dict[str, Any]]:
    """Return all pods of runs by uid."""
    found = (await member.cluster.list("/api/v1/pods")).items
    return {p["metadata"]["uid"]: p for p in found if p["metadata"]["namespace"].startswith("aij-")}


async def _run(member: Member) -> bool:
    """Tell whether the head and the worker of every run are up."""
    pods = (await _pods(member)).values()
    up = [p for p in pods if (p.get("status") or {}).get("phase") == "Running"]
    ray = [p for p in up if "ray.io/node-type" in (p["metadata"].get("labels") or {})]
    await asyncio.sleep(0.5)
    return len(ray) == 2 * RUNS


async def _gone(
    member: Member, stop: Callable[[], Awaitable[None]]
) -> tuple[list[float], list[float]]:
    """Say stop; return after how many seconds each pod was told to end, and was gone."""
    begun_s, told, ends = _now_s(), dict[str, float](), dict[str, float]()
    living = await _pods(member)
    await stop()
    while living or await _marked(member):
        now = await _pods(member)
        ends |= {uid: _now_s() - begun_s for uid in living.keys() - now.keys()}
        going = {uid for uid, pod in now.items() if "deletionTimestamp" in pod["metadata"]}
        told |= {uid: _now_s() - begun_s for uid in going - told.keys()}
        living = now
        await asyncio.sleep(0.25)
    return list(told.values()), list(ends.values())


async def _marked(member: Member) -> list[str]:
    spaces = (await member.cluster.list(NAMESPACES)).items
    return [s["metadata"]["name"] for s in spaces if s["metadata"]["name"].startswith("aij-")]


def _now_s() -> float:
    return time.monotonic()  # noqa: TID251  # real servers run on real time
