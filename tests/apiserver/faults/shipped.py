"""The shipped programs: their settings here, and how each is run as tasks of this process or as a process.

As tasks they are what is shipped but for kopf, whose watching our own reflectors do, as it takes longer
to begin and to end than a plan does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from e2e.testbed.cluster.controlplane import ControlPlane
from hansa.adapters.clock import SystemClock
from hansa.adapters.kube.config import Connection
from hansa.adapters.kube.mirror import Mirror
from hansa.adapters.kube.reflector import Pace, Reflector
from hansa.api.kinds import COMPUTEPOOL, MEMBERPOLICY
from hansa.guard import app as guard_app
from hansa.guard.settings import GuardSettings
from hansa.hub.app import Hub
from hansa.hub.settings import HubSettings
from hansa.member import app as member_app
from hansa.member.kopf_handlers import take_machine, take_policy
from hansa.member.settings import MemberSettings
from hansa.ports import Manifest
from hansa.process.app import together

CLOCK = SystemClock()
HUB, GUARD, SYSTEM = "hub", "-guard", "hansa-system"
ANSWER_S = 10.0
RELIST_S = 3.0
"""What a watch did not tell is found after so long."""
LOOPBACK = {"health_port": 0, "bind": "127.0.0.1"}


def node_of(name: str) -> str:
    """Return the member whose agent or guard it is."""
    return name.removesuffix(GUARD)


def settings_of(name: str, folder: Path) -> dict[str, Any]:
    """Return a program's settings. A container that is started again in its pod keeps its identity."""
    leadership = {"duration_seconds": 15, "retry_seconds": 1, "identity": name}
    if name == HUB:
        return {
            "cluster": {"namespace": SYSTEM, "request_timeout_seconds": ANSWER_S},
            "grants": {"key_file": str(folder / "hub.pem"), "validity_seconds": 600},
            "leadership": leadership,
            "planning": {"tick_seconds": 0.5, "resync_seconds": RELIST_S},
            "serving": LOOPBACK,
        }
    if name.endswith(GUARD):
        return {"node": node_of(name), "pass_seconds": 1, "port": 0, "bind": "127.0.0.1"}
    timing = {
        "retry_seconds": 0.2,
        "tick_seconds": 0.3,
        "heartbeat_seconds": 1,
        "hub_answer_seconds": ANSWER_S,
        "resync_seconds": RELIST_S,
        "contact_seconds": 3,
    }
    return {"node": name, "leadership": leadership, "timing": timing, "serving": LOOPBACK}


async def work_of(name: str, server: str, folder: Path) -> None:
    """Do a program's work; ``server``: of its own cluster."""
    settings = settings_of(name, folder)
    if name == HUB:
        await _hub(HubSettings(**settings), Connection(server=server, namespace=SYSTEM))
    elif name.endswith(GUARD):
        await guard_app.serve(GuardSettings(**settings), Connection(server=server))
    else:
        await _agent(MemberSettings(**settings), Connection(server=server))


async def _hub(settings: HubSettings, own: Connection) -> None:
    hub = Hub(settings, own)
    await together(hub.live(), _feed(hub.cluster, COMPUTEPOOL.path(), hub.caches.pools))


async def _feed(cluster: Any, path: str, into: Mirror) -> None:
    def told(change: Any, thing: Manifest) -> None:
        kept = {**thing, "metadata": dict(thing["metadata"])}
        (into.drop if change == "DELETED" else into.put)(kept)

    await Reflector(cluster, path, clock=CLOCK, on_change=told, pace=Pace(RELIST_S)).run()


async def _agent(settings: MemberSettings, own: Connection) -> None:
    agent = member_app.Agent(settings, own, clock=CLOCK)

    def policy(change: Any, thing: Manifest) -> None:
        if (at := agent.status.context) is not None:
            take_policy(at, change, thing)
            at.policy_changed.set()

    def machine(change: Any, thing: Manifest) -> None:
        if (at := agent.status.context) is not None:
            take_machine(at, change, thing)

    quick = member_app.KubeCluster  # type: ignore[attr-defined]  # the one that this process uses
    async with quick(own, clock=CLOCK, agent="front") as cluster:
        front = ((MEMBERPOLICY.path(), policy), ("/api/v1/nodes", machine))
        following = (
            Reflector(cluster, path, clock=CLOCK, on_change=told, pace=Pace(RELIST_S)).run()
            for path, told in front
        )
        await together(agent._live(), *following)


def command_of(
    name: str, server: str, folder: Path, plane: ControlPlane
) -> tuple[str, dict[str, str]]:
    """Return a program's sub-command and its environment."""
    config = folder / f"{name}.kubeconfig"
    user = {"name": "u", "user": {"token": plane.admin_token}}
    context = {"name": "c", "context": {"cluster": "c", "user": "u"}}
    at = {"name": "c", "cluster": {"server": server}}
    held = {"clusters": [at], "users": [user], "contexts": [context], "current-context": "c"}
    config.write_text(json.dumps(held))
    settings = settings_of(name, folder)
    if name == HUB:
        settings["cluster"] = {**settings["cluster"], "kubeconfig": config}
        return "hub", _environment("HANSA_HUB", settings)
    if name.endswith(GUARD):
        return "guard", _environment("HANSA_GUARD", settings | {"kubeconfig": config})
    return "member", _environment("HANSA_MEMBER", settings | {"identity": {"kubeconfig": config}})


def _environment(prefix: str, settings: Mapping[str, Any]) -> dict[str, str]:
    made: dict[str, str] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            inner = {f"{name}__{part}": one for part, one in value.items()}
            made |= _environment(prefix, inner)
        else:
            made[f"{prefix}_{name.upper()}"] = str(value)
    return made
