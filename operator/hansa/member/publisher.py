"""Keeps two statuses true: the node's on the hub, the policy's at home. Writes on change only.

GPUs that runs take and leave are told with the next heartbeat: the hub counts its grants itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import Callable, Mapping
from typing import Any

import hansa
from hansa.api.kinds import MEMBERPOLICY, SOVEREIGNNODE
from hansa.errors import HansaError, NotFound
from hansa.grants.envelope import digest
from hansa.member.cluster.policy import NAME
from hansa.member.context import AgentContext
from hansa.member.facts import ledger_trouble
from hansa.observability import events
from hansa.ports import Manifest
from hansa.process.app import going_on
from hansa.reconcile.member.inventory.stock import named
from hansa.reconcile.member.node_declaration import (
    MOST_NOTE,
    Declaration,
    Enforcement,
    Health,
    hub_note,
    node_status,
    policy_status,
)
from hansa.reconcile.member.run_namespace import removal_trouble

log = logging.getLogger(__name__)
MANAGER = "hansa-member"
PAUSE_S = 1.0
"""Least time between two writes of the same status."""
REPEAT_S = 30.0
"""Statuses are looked at this often without a cause: ages pass by themselves."""
CONTACT_STEP_S = 30.0
"""How coarsely the last contact is stated: each step is a write."""


class Publisher:
    """Publishes what the context knows."""

    def __init__(
        self,
        context: AgentContext,
        *,
        release_key: str,
        token_end_s: Callable[[], float | None],
    ) -> None:
        """``release_key``: raw public key, base64."""
        self._context = context
        self._release_key = release_key
        self._token_end_s = token_end_s
        self._sent: dict[str, str] = {}
        self._conditions: dict[str, list[Mapping[str, Any]]] = {}
        self._note = ""
        self.health = Health()

    async def run(self) -> None:
        """Publish whenever something has changed, until cancelled."""
        while True:
            self._context.dirty.clear()
            await going_on(self._publish)()
            await asyncio.sleep(PAUSE_S)
            with contextlib.suppress(TimeoutError):
                # Not wait_for: before Python 3.12 it swallows a cancellation that meets an event.
                async with asyncio.timeout(REPEAT_S):
                    await self._context.dirty.wait()

    async def _publish(self) -> None:
        """Tell both at once: a hub that does not answer must not keep the news from home."""
        self._assess()
        await asyncio.gather(self._tell_hub(), self._tell_home())

    async def _tell_hub(self) -> None:
        try:
            answer = await self._apply(self._context.hub, self._node_path, self._node_body())
        except HansaError as error:
            log.info("node status not told", extra={"error": str(error)})
            return
        note = self._note if answer is None else hub_note(answer)
        if note != self._note:
            self._note = note
            self._context.dirty.set()

    async def _tell_home(self) -> None:
        if not self._context.cluster_state.policy.uid:
            return
        try:
            path = MEMBERPOLICY.path(name=NAME) + "/status"
            await self._apply(self._context.own, path, self._policy_body())
        except NotFound:
            log.info("no policy to report on")
        except HansaError as error:
            log.warning("policy status not written", extra={"error": str(error)})

    @property
    def _node_path(self) -> str:
        return SOVEREIGNNODE.path(name=self._context.settings.node) + "/status"

    async def _apply(self, cluster: Any, path: str, body: Manifest) -> Manifest | None:
        """Apply a status unless the same was applied last."""
        print_ = digest(body["status"])
        if self._sent.get(path) == print_:
            return None
        answer: Manifest = await cluster.apply(path, body, manager=MANAGER)
        self._sent[path] = print_
        key = "conditions" if "conditions" in body["status"] else "memberConditions"
        self._conditions[path] = body["status"][key]
        return answer

    def _assess(self) -> None:
        context, limits, timing = (
            self._context,
            self._context.settings.limits,
            self._context.settings.timing,
        )
        before, skew, age = self.health, context.hub_skew(), context.contact.age_s
        inventory = context.cluster_state.inventory(context.run_index.held)
        self.health = Health(
            policy=context.cluster_state.policy.problem,
            hub=_hub_trouble(age, timing.disconnect_seconds),
            kuberay=context.cluster_state.kuberay.trouble,
            clock=_clock_trouble(skew, limits.clock_skew_seconds),
            disk=context.cluster_state.readiness(inventory).disk_full,
            lock=context.cluster_state.canary.trouble,
            ledger=ledger_trouble(context),
            removal=removal_trouble(context.namespaces.values(), context.clock.now()),
            identity=context.renewal_trouble,
            machines=named(inventory.troubles)[:MOST_NOTE],
        )
        self._tell_people(before)

    def _tell_people(self, before: Health) -> None:
        context, subject = self._context, self._context.policy_subject()
        if self.health.hub and not before.hub:
            context.emit(events.hub_unreachable(subject, self.health.hub))
        if before.hub and not self.health.hub:
            context.emit(events.hub_reachable(subject))
        if self.health.kuberay:
            context.emit(events.kuberay_unfit(subject, self.health.kuberay))
        if self.health.clock:
            context.emit(events.clock_skewed(subject, self.health.clock))
        if context.cluster_state.canary.outcome == "Admitted":
            context.emit(events.canary_admitted(subject, context.cluster_state.canary.message))

    def _node_body(self) -> Manifest:
        context = self._context
        said = Declaration(
            node=context.settings.node,
            policy=context.cluster_state.policy.spec,
            generation=context.cluster_state.policy.generation,
            inventory=context.cluster_state.inventory(context.run_index.held),
            health=self.health,
            agent_version=hansa.__version__,
            kuberay_version=context.cluster_state.kuberay.version,
            release_key=self._release_key,
            token_end_s=self._token_end_s(),
            unusable_data=frozenset(context.cluster_state.unusable_data),
            outbox=context.outbox,
            receipts_waiting=context.receipts.waiting,
            audits=context.auditor.wire,
            witness=context.cosigner.wire,
            hardware=context.hardware.wire,
        )
        return node_status(
            said, self._conditions.get(self._node_path, []), now_s=context.clock.now()
        )

    def _policy_body(self) -> Manifest:
        context = self._context
        last, path = context.contact.last_s, MEMBERPOLICY.path(name=NAME) + "/status"
        said = Enforcement(
            generation=context.cluster_state.policy.generation,
            health=self.health,
            canary=context.cluster_state.canary.outcome,
            node_key_id=context.signer.key_id,
            refusals=context.refusals,
            last_contact_s=None if last is None else last // CONTACT_STEP_S * CONTACT_STEP_S,
            note=self._note,
        )
        return policy_status(said, self._conditions.get(path, []), now_s=context.clock.now())


def _hub_trouble(age_s: float, limit_s: float) -> str:
    if math.isinf(age_s):
        return "no answer since this agent was installed"
    return f"no answer for {age_s // 30 * 30:.0f} s" if age_s > limit_s else ""


def _clock_trouble(skew: float | None, limit: float) -> str:
    if skew is None:
        return "the hub's clock is not known yet"
    if abs(skew) <= limit:
        return ""
    return f"{abs(skew):.0f} s off the hub's clock (limit {limit:.0f} s); synchronise both (NTP)"
