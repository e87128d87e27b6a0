"""``hansa member stop``: stops all league work here with kubectl's rights alone, agent and guard down.

It sets the switch, deletes every marked namespace, and looks until nothing is left. What it cannot
do it tells and goes on: one refusal must not keep the rest running.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable
from dataclasses import dataclass, field

import click

from hansa.adapters.clock import SystemClock
from hansa.api.kinds import MEMBERPOLICY
from hansa.api.meta import JOB_UID_LABEL
from hansa.cli.access import Access, with_access
from hansa.cli.display import say
from hansa.errors import HansaError, NotFound, Retryable
from hansa.ports import Clock, Cluster, Manifest
from hansa.reconcile.member import canaries

POLICY = MEMBERPOLICY.path(name="local")
NAMESPACES = "/api/v1/namespaces"
LOOK_S = 1.0
NO_POLICY = "there is no MemberPolicy local, so nothing new starts; an applied one decides anew"


@dataclass(slots=True)
class Outcome:
    """What became of a stop."""

    switch: str = "switch: Stopped could not be set"
    """Why the switch is not set; empty: it says Stopped."""
    runs: set[str] = field(default_factory=set)
    """Every marked namespace that was found."""
    refused: dict[str, str] = field(default_factory=dict)
    """Namespace → why the API server did not delete it, at the last try."""
    left: list[str] = field(default_factory=list)
    """What is left in the end, a line each."""

    unread: str = ""
    """Why nobody knows what is left; empty: it was read."""

    @property
    def done(self) -> bool:
        """Whether nothing is left, and nothing starts anew."""
        return self.settled and not self.left and not self.unread

    @property
    def settled(self) -> bool:
        """Whether nothing starts anew."""
        return self.switch in ("", NO_POLICY)


@click.command
@click.option("--dry-run", is_flag=True, help="Show what would be stopped, and change nothing.")
@click.option(
    "--timeout", default=120.0, show_default=True, help="Seconds to wait until all is gone."
)
@with_access
def stop(access: Access, dry_run: bool, timeout: float) -> None:  # noqa: FBT001  # click passes options by name
    """Stop all league work on this cluster, now.

    Sets MemberPolicy local to switch: Stopped, deletes every namespace marked as a run, and waits
    until they are gone. It needs neither the hub nor the agent. Exits with 1 where something is left
    or could start anew.
    """
    if dry_run:
        found = access.ask(marked)
        say(f"would set switch: Stopped and delete {len(found)} namespaces")
        for namespace in found:
            say(f"  {namespace['metadata']['name']}")
        return
    outcome = access.ask(
        lambda cluster: stop_all(cluster, clock=SystemClock(), timeout_s=timeout, look_s=LOOK_S)
    )
    for line in tell(outcome):
        say(line)
    if not outcome.done:
        sys.exit(1)


def tell(outcome: Outcome) -> list[str]:
    """Return the outcome as lines for a person."""
    switch = outcome.switch or "switch: Stopped is set"
    if outcome.unread:
        return [switch, f"left: what runs there are could not be read: {outcome.unread}"]
    gone = len(outcome.runs) - len(outcome.left)
    lines = [switch, f"{gone} of {len(outcome.runs)} runs are gone"]
    return lines + [f"left: {line}" for line in outcome.left]


async def marked(cluster: Cluster) -> list[Manifest]:
    """Return the namespaces of all runs."""
    page = await cluster.list(NAMESPACES, labels=JOB_UID_LABEL)
    return [one for one in page.items if one["metadata"]["name"] != canaries.NAMESPACE]


async def stop_all(cluster: Cluster, *, clock: Clock, timeout_s: float, look_s: float) -> Outcome:
    """Set the switch; delete what is marked, also what is made meanwhile; say what is left."""
    outcome, end = Outcome(), clock.monotonic() + timeout_s
    while True:
        try:
            left = await _try_once(cluster, outcome)
        except HansaError as error:
            if clock.monotonic() >= end or not isinstance(error, Retryable):
                outcome.unread = str(error)
                return outcome
        else:
            if outcome.settled and not left:
                return outcome
            if clock.monotonic() >= end:
                said = [_why_left(cluster, one, outcome) for one in left]
                outcome.left = list(await asyncio.gather(*said))
                return outcome
        await asyncio.sleep(look_s)


async def _try_once(cluster: Cluster, outcome: Outcome) -> list[Manifest]:
    """Set the switch unless it is set, delete what there is; returns what there was."""
    if not outcome.settled:
        outcome.switch = await _set_switch(cluster)
    left = await marked(cluster)
    outcome.runs |= {one["metadata"]["name"] for one in left}
    outcome.refused = await _delete(cluster, left)
    return left


async def _set_switch(cluster: Cluster) -> str:
    try:
        await cluster.merge(POLICY, {"spec": {"switch": "Stopped"}})
    except NotFound:
        # Not made: a policy also states jurisdiction and control, and nobody may invent those.
        return NO_POLICY
    except HansaError as error:
        return f"switch: Stopped could not be set: {error}"
    return ""


async def _delete(cluster: Cluster, namespaces: list[Manifest]) -> dict[str, str]:
    living = [
        one["metadata"]["name"] for one in namespaces if "deletionTimestamp" not in one["metadata"]
    ]
    tries: list[Awaitable[None]] = [cluster.delete(f"{NAMESPACES}/{name}") for name in living]
    ends = await asyncio.gather(*tries, return_exceptions=True)
    refused = {}
    for name, end in zip(living, ends, strict=True):
        if isinstance(end, HansaError):
            refused[name] = str(end)
        elif end is not None:
            raise end
    return refused


async def _why_left(cluster: Cluster, namespace: Manifest, outcome: Outcome) -> str:
    """Return what holds a namespace: a refusal, its pods, or what the API server says of its end."""
    name = namespace["metadata"]["name"]
    if name in outcome.refused:
        return f"{name}: not deleted: {outcome.refused[name]}"
    try:
        pods = (await cluster.list(f"{NAMESPACES}/{name}/pods")).items
    except HansaError as error:
        return f"{name}: Terminating; its pods could not be listed: {error}"
    held = [_pod(pod) for pod in pods] or ["no pod is left"]
    conditions = (namespace.get("status") or {}).get("conditions") or []
    held += [str(c.get("message", "")) for c in conditions if c.get("status") == "True"]
    return f"{name}: Terminating: " + "; ".join(filter(None, held))


def _pod(pod: Manifest) -> str:
    machine = (pod.get("spec") or {}).get("nodeName") or "no machine"
    return f"pod {pod['metadata']['name']} on {machine}"
