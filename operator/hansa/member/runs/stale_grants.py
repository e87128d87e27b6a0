"""What a member says of a grant that comes too late: how late, and whether anything still runs.

A hub restored from an old backup proposes epochs that were used up. It must not place the job
elsewhere while a run it has forgotten lives here; the signed release tells it when none does.
"""

from __future__ import annotations

from dataclasses import replace

from hansa.api.meta import JOB_UID_LABEL
from hansa.api.workgrant import WorkGrantSpec
from hansa.errors import HansaError, Retryable
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


def owe_release(context: AgentContext, grant: Manifest) -> None:
    """Have the release of a grant that was refused as stale looked after until the hub has it.

    No event says that it can be signed now: what stood in its way may have been one answer that was lost.
    """
    run = workload_name(*claimed(grant.get("spec") or {}))
    context.forgotten[run] = grant["metadata"]["name"]
    context.runs.add(run)


def owe_releases(context: AgentContext, job_uid: str) -> None:
    """Do so for all grants of a job: a run that stood in their way is gone."""
    for grant in context.grants.values():
        is_of_job = claimed(grant.get("spec") or {})[0] == job_uid
        if is_of_job and grant_status.is_outdated(grant):
            owe_release(context, grant)


def is_put_off(context: AgentContext, job_uid: str) -> bool:
    """Tell whether a run of the job is answered for here: as it closes, what is owed is looked at again."""
    records = context.epochs.records.of(job_uid)
    runs = (workload_name(record.job_uid, record.epoch) for record in records)
    return any(context.run_index.get(run) is not None for run in runs)


async def release(context: AgentContext, name: str, spec: WorkGrantSpec) -> None:
    """Sign and tell the release of grant ``name``; raises ``Retryable`` while that cannot be."""
    word = await _release(context, spec)
    if word is None:
        raise Retryable("something of the job may be here; an outdated grant is released after it")
    await context.tell_hub(name, {"status": {"release": word}})


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
