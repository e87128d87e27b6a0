"""A grant that was accepted here, and of which neither memory nor run is left.

Without its release the job would wait for ever: the member is in touch, so no unattended limit runs
out. The epoch is first remembered as ended, so that nothing can start it any more, and then goes the
way of every ended run: what may be left is deleted, and the release is signed when nothing is.
"""

from __future__ import annotations

import logging

from hansa.errors import Retryable
from hansa.grants.checks import distrust
from hansa.grants.epochs import EpochRecord, Outcome
from hansa.grants.reasons import Objection
from hansa.grants.trust import read
from hansa.member.context import AgentContext
from hansa.member.facts import facts_of
from hansa.member.runs import stale_grants
from hansa.member.state.run_index import Entry
from hansa.ports import Manifest
from hansa.reconcile.member import grant_status
from hansa.reconcile.member.end_reasons import EndReason

log = logging.getLogger(__name__)


async def end(context: AgentContext, name: str) -> bool:
    """Take a run that is forgotten and gone as ended; False: there is none of that name.

    Invariant: a grant that proves nothing moves no memory, and nobody else's record is passed over:
    the memory is read anew first, for another replica may have accepted the grant a moment ago.
    """
    grant = _unreleased(context, name)
    if grant is None:
        return False
    is_outdated = grant_status.is_outdated(grant)
    if not is_outdated and not grant_status.reported(grant).accepted:
        return False
    policy, spec = context.cluster_state.policy.spec, grant["spec"]
    if policy is None or not context.namespaces.synced:
        raise Retryable("neither the policy nor the runs there are can be read yet")
    proposal = read(spec)
    if isinstance(proposal, Objection) or distrust(proposal, policy, facts_of(context, spec)):
        return False
    entry = Entry(proposal.spec, spec, proposal.digest)
    if is_outdated and stale_grants.is_put_off(context, entry.uid):
        return False
    record = await _remembered(context, entry)
    if is_outdated:
        await stale_grants.release(context, grant["metadata"]["name"], entry.spec)
    if is_outdated or record.digest != entry.digest:
        return False
    context.run_index.put(entry, holding=record.outcome is Outcome.ACCEPTED)
    context.forgotten.pop(name, None)
    return True


async def _remembered(context: AgentContext, entry: Entry) -> EpochRecord:
    """Return what is remembered of an epoch, as ended where nothing was."""
    records = context.epochs.records
    if records.get(entry.uid, entry.epoch) is None:
        await context.epochs.reload()
    record = records.get(entry.uid, entry.epoch)
    if record is None:
        log.warning("decided and forgotten; nothing of it is here", extra={"run": entry.name})
        reason = EndReason.DELETED.value
        record = context.record(entry.spec, entry.digest, Outcome.ENDED, reason=reason)
        await context.epochs.put((record,))
    return record


def _unreleased(context: AgentContext, name: str) -> Manifest | None:
    """Return the grant of a run, where the hub was told what was decided, and not of its release."""
    grant = context.grants.get(f"{context.hub_namespace}/{context.forgotten.get(name, '')}")
    return None if grant is None or grant_status.reported(grant).released else grant
