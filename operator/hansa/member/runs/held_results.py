"""Keeps results that wait for their owners' release, and gives them out when it is there."""

from __future__ import annotations

import logging

from hansa.errors import HansaError, NotFound, Retryable
from hansa.grants.envelope import grant_name
from hansa.grants.exports import held_result, held_secret
from hansa.grants.exports.held_result import Decision, HeldResult
from hansa.grants.exports.held_secret import Kept
from hansa.member.context import AgentContext
from hansa.member.state.run_index import Entry
from hansa.model.times import rfc3339
from hansa.ports import Manifest
from hansa.reconcile.member.grant_status import export

log = logging.getLogger(__name__)
NO_ROOM = f"{held_secret.MOST_HELD} results wait at the member already"

NO_SECRET = (
    f"the agent's namespace has no Secret {held_secret.NAME} to keep a result in; the chart hansa-member"
    " makes it"
)


class HeldResults:
    """The Secret of held results, for this agent."""

    def __init__(self, context: AgentContext) -> None:
        """``context``: shared state."""
        self._context = context
        self._path = held_secret.path(context.settings.namespace)

    async def keep(self, entry: Entry, result: str, rule: str) -> Manifest:
        """Make a result durable and return its row for the hub."""
        held = self._held(entry, result, rule)
        secret = await self._secret()
        if secret is None:
            raise Retryable(NO_SECRET)
        kept = held_secret.runs(secret)
        if held.run not in kept and len(kept) >= held_secret.MOST_HELD:
            return export(held, Decision("Refused", NO_ROOM))
        await self._context.own.merge(self._path, held_secret.entry(held, result))
        return export(held, Decision("Waiting", f"MemberPolicy {rule}"))

    async def look(self) -> None:
        """Give out what is released, and delete what is refused or has waited too long."""
        if not self._context.grants.synced:
            return
        secret = await self._secret() or {}
        for run in held_secret.runs(secret):
            try:
                await self._look_at(secret, run)
            except HansaError as error:
                # A hub that takes no word on one grant keeps no other's result from its owner, or here.
                log.warning("held result not settled", extra={"run": run, "error": str(error)})

    async def _look_at(self, secret: Manifest, run: str) -> None:
        kept = held_secret.read(secret, run)
        if kept is None:
            log.error("held result spoilt", extra={"run": run})
        elif await self._settle(kept):
            await self._context.own.merge(self._path, held_secret.removal(secret, run))

    async def _settle(self, kept: Kept) -> bool:
        """Tell the hub what was decided; False: it waits still."""
        context, held = self._context, kept.held
        policy, now_s = context.cluster_state.policy.spec, context.clock.now()
        decision = held_result.decide(held, kept.signatures, policy, now_s=now_s)
        if kept.is_refused:
            decision = Decision("Refused", "the institution refused its release")
        if decision.state == "Waiting":
            return False
        status: Manifest = {"exports": [export(held, decision)]}
        if decision.state == "Released":
            status["result"] = kept.result
        try:
            await context.tell_hub(grant_name(held.job.uid, held.epoch), {"status": status})
        except NotFound:
            log.info("nobody waits for the result any more", extra={"run": held.run})
        return True

    async def _secret(self) -> Manifest | None:
        try:
            return await self._context.own.get(self._path)
        except NotFound:
            return None

    def _held(self, entry: Entry, result: str, rule: str) -> HeldResult:
        context, spec = self._context, entry.spec
        nonce = held_result.nonce(context.signer, entry.uid, entry.epoch)
        keep_s = context.settings.limits.result_retention_seconds
        return HeldResult(
            job=spec.job,
            epoch=spec.epoch,
            institution=spec.institution,
            datasets=tuple(source.name for source in spec.job_spec.data),
            digest=held_result.commitment(nonce, result),
            bytes=len(result.encode()),
            nonce=nonce,
            until=rfc3339(context.clock.now() + keep_s),
            rule=rule,
        )
