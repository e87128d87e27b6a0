"""What a member says of a grant that comes too late: how late, and whether anything still runs.

A hub restored from an old backup proposes epochs that were used up. It must not place the job
elsewhere while a run it has forgotten lives here; the signed release tells it when none does.
"""

from __future__ import annotations

from dataclasses import replace

from hansa.api.meta import JOB_UID_LABEL
from hansa.api.workgrant import WorkGrantSpec
from hansa.errors import HansaError
from hansa.grants.envelope import grant_name, workload_name
from hansa.grants.epochs import EpochRecord, Outcome
from hansa.grants.facts import Judgement
from hansa.grants.reasons import MemberReason, Objection
from hansa.grants.shape import claimed
from hansa.grants.trust import read
from hansa.member.context import AgentContext
from hansa.member.runs.release import sign_release
from hansa.ports import Manifest
from hansa.reconcile.member import grant_status
from hansa.reconcile.member.end_reasons import EndReason


async def refusal(context: AgentContext, grant: Manifest, judgement: Judgement) -> Manifest:
    """Return the patch that refuses a grant, with what an outdated hub has to know."""
    objections, stamp, proposal = judgement.objections, context.stamp(), judgement.proposal
    if proposal is None or objections[0].reason is not MemberReason.STALE_EPOCH:
        return grant_status.refused(grant, objections, stamp)
    highest = context.epochs.records.highest(proposal.spec.job.uid)
    release = await _release(context, proposal.spec)
    return grant_status.refused_as_stale(
        grant, objections, stamp, highest_epoch=highest.epoch if highest else 0, release=release
    )


async def release_outdated(context: AgentContext, job_uid: str) -> None:
    """Release the grants that were refused as stale while a later run of their job lived."""
    for grant in list(context.grants.values()):
        spec = grant.get("spec") or {}
        if claimed(spec)[0] != job_uid:
            continue
        proposal = read(spec)
        if isinstance(proposal, Objection) or proposal.spec.job.uid != job_uid:
            continue
        status = grant_status.reported(grant)
        if status.accepted is False and not status.released:
            release = await _release(context, proposal.spec)
            if release is not None:
                await context.tell_hub(grant["metadata"]["name"], {"status": {"release": release}})


async def _release(context: AgentContext, spec: WorkGrantSpec) -> Manifest | None:
    """Sign that nothing of the job runs here; None when something does, or cannot be ruled out."""
    records = context.epochs.records.of(spec.job.uid)
    accepted = [record for record in records if record.outcome is Outcome.ACCEPTED]
    if any(_may_go_on(context, record) for record in accepted):
        return None
    try:
        # The cache lags behind what we made ourselves: a release is a promise, so ask.
        page = await context.own.list(
            "/api/v1/namespaces", labels=f"{JOB_UID_LABEL}={spec.job.uid}"
        )
    except HansaError:
        return None
    if page.items:
        return None
    # Gone with its grant, while nobody looked: from now on nothing can start it.
    reason = EndReason.DELETED.value
    await context.epochs.put([replace(r, outcome=Outcome.ENDED, reason=reason) for r in accepted])
    return sign_release(context, spec.job.uid, spec.epoch)


def _may_go_on(context: AgentContext, record: EpochRecord) -> bool:
    """Tell whether somebody answers for an accepted run, or may still come to do so."""
    run = workload_name(record.job_uid, record.epoch)
    if not context.grants.synced or context.run_index.get(run) is not None:
        return True
    name = grant_name(record.job_uid, record.epoch)
    grant = context.grants.get(f"{context.hub_namespace}/{name}") or {}
    # A restored hub proposes another grant under the same name: nobody answers for a run by that.
    proposal = read(grant.get("spec") or {})
    return not isinstance(proposal, Objection) and proposal.digest == record.digest
