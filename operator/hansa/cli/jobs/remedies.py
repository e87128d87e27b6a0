"""What a person can do about each reason: the last column of ``kubectl hansa explain``."""

from __future__ import annotations

from hansa.grants.reasons import MemberReason
from hansa.model.reasons import Reason

REMEDIES: dict[Reason, str] = {
    Reason.MISCONFIGURED: "correct the field named, and apply again",
    Reason.UNKNOWN_JURISDICTION: "name an overlay of the pool, a bloc or an ISO 3166 code",
    Reason.UNKNOWN_POOL: "name a pool that exists: kubectl get computepools",
    Reason.NOT_ADMITTED_TO_POOL: "ask the platform team for a share of the pool",
    Reason.NO_INSTITUTION: "ask the platform team to label the namespace with its institution",
    Reason.UNKNOWN_DATASET: "name a data set some member announces: hansa nodes --datasets",
    Reason.UNKNOWN_PROJECT: "name a project of the namespace: kubectl get projects",
    Reason.PROJECT_CLOSED: "charge it to another project, or move spec.begin or spec.end of this one",
    Reason.PROJECT_OVER_BUDGET: "raise spec.budget.limit of the project, or charge it to another one",
    Reason.POOL_MISCONFIGURED: "the league's admin corrects the pool: its condition Sound says what",
    Reason.NODE_NOT_ACCEPTED: "the league's admin accepts the node: hansa accept NODE",
    Reason.JURISDICTION_DISPUTED: "the member and the league must state the same jurisdiction",
    Reason.RESIDENCY_DENIED: "widen residency.location, if the law of the data allows it",
    Reason.LEGAL_CONTROL_DENIED: "widen residency.legalControl, if the law of the data allows it",
    Reason.DATA_ELSEWHERE: "nothing: the data does not leave the member that holds it",
    Reason.ASSURANCE_TOO_LOW: "lower assurance, or have nodes show more: each one's status.assurance.why says how",
    Reason.NO_ACCELERATOR: "ask the member's platform team: its GPU machines may be tainted, away or not understood,"
    " which its MemberPolicy local and hansa doctor name",
    Reason.NO_SUCH_ACCELERATOR: "ask for another gpuClass, or for gpuMemory instead of a class",
    Reason.EXCEEDS_NODE_SHAPE: "ask for fewer or smaller workers",
    Reason.EXCEEDS_POOL_QUOTA: "ask for fewer GPUs than the institution may ever hold",
    Reason.EXCEEDS_CAP: "ask for fewer GPUs, or for nodes of another operator",
    Reason.OVER_BUDGET: "raise budget.limit, or lower maxRuntimeSeconds",
    Reason.NODE_REFUSED: "the member's own policy said no: change the job, or talk to the member",
    Reason.NODE_OF_TWO_LEADERS: "the league's admin takes the node out of one leader's pools",
    Reason.NODE_CORDONED: "wait until the league's admin opens the node",
    Reason.NODE_PAUSED: "wait until the member opens its switch",
    Reason.NODE_UNREACHABLE: "wait until the member's agent reports again",
    Reason.NODE_NOT_READY: "the member's platform team repairs what the message names",
    Reason.WAITING_FOR_QUOTA: "wait for the institution's own jobs, or get a larger share",
    Reason.WAITING_FOR_CAP: "wait until work at that operator or jurisdiction ends",
    Reason.WAITING_FOR_FAIR_SHARE: "wait: institutions below their share go first",
    Reason.WAITING_FOR_PREEMPTION: "wait: the place is being cleared",
    Reason.WAITING_FOR_CAPACITY: "wait until running jobs end",
    Reason.WAITING_FOR_RELEASE: "wait until the old run is released, or its unattended time is over",
    Reason.SUSPENDED: "set suspend: false",
    Reason.PREEMPTED: "wait: it is placed again when its turn comes",
    Reason.PENDING: "nothing: the node could run it",
    Reason.PLACED: "nothing: it is there",
    Reason.OUTBID: "nothing: a better node was chosen",
}


_JOB = "change the job, or ask the member's platform team"
_MEMBER = "the member's platform team has to repair it; the job is tried elsewhere meanwhile"
_HUB = "the league's admin has to look at the hub: its grant was not genuine"

MEMBER_REMEDIES: dict[MemberReason, str] = {
    MemberReason.MALFORMED: _HUB,
    MemberReason.WRONG_NODE: _HUB,
    MemberReason.UNKNOWN_HUB: "the member adds the hub's key (hansa hub-key) to trustedHubs",
    MemberReason.BAD_SIGNATURE: _HUB,
    MemberReason.DIGEST_MISMATCH: _HUB,
    MemberReason.POLICY_MISSING: "the member applies a MemberPolicy named local",
    MemberReason.CLOCK_SKEW: "the member or the league sets its clock (NTP)",
    MemberReason.STALE_EPOCH: "nothing: the hub remembers less of the job than the member, and waits for its release",
    MemberReason.PREVIOUS_RUN_LIVES: "the run of the epoch before has to be gone, and the hub tries again; where it hangs, the"
    " member's platform team sees what holds it: MemberPolicy local, RunsRemoved",
    MemberReason.WITHDRAWN: "nothing: the hub took the grant back",
    MemberReason.EXPIRED: "nothing: the hub grants again",
    MemberReason.NOT_YET_VALID: "the member or the league sets its clock (NTP)",
    MemberReason.STOPPED: "wait until the member opens its switch",
    MemberReason.PAUSED: "wait until the member opens its switch",
    MemberReason.RESIDENCY_DENIED: REMEDIES[Reason.RESIDENCY_DENIED],
    MemberReason.LEGAL_CONTROL_DENIED: REMEDIES[Reason.LEGAL_CONTROL_DENIED],
    MemberReason.OWNER_SIGNATURE_INVALID: "sign the job again as it is now: kubectl hansa sign",
    MemberReason.OWNER_SIGNATURE_MISSING: "have the data owner sign the job: kubectl hansa sign",
    MemberReason.AUTHORIZATION_SPENT: "have the data owner sign again: kubectl hansa sign",
    MemberReason.TENANT_NOT_ACCEPTED: "ask the member to take your institution as a tenant",
    MemberReason.WORKLOAD_NOT_ACCEPTED: _JOB,
    MemberReason.IMAGE_NOT_ALLOWED: "use an image from a registry the member's policy names",
    MemberReason.DATASET_UNKNOWN: REMEDIES[Reason.UNKNOWN_DATASET],
    MemberReason.DATASET_NOT_LENT: "ask the holder to lend the data set to your institution",
    MemberReason.SECRET_NOT_LENT: "ask the member to lend the secret to your institution",
    MemberReason.PACKAGES_NOT_ALLOWED: "build the packages into the image, or ask the member for an index",
    MemberReason.RUNTIME_TOO_LONG: "lower maxRuntimeSeconds",
    MemberReason.GPUS_NOT_LENT: "ask for fewer GPUs, or for another class",
    MemberReason.ASSURANCE_TOO_LOW: REMEDIES[Reason.ASSURANCE_TOO_LOW],
    MemberReason.OUTSIDE_HOURS: "wait for the hours in which the member starts work",
    MemberReason.TOO_MANY_JOBS: "wait until jobs at that member end",
    MemberReason.RAY_TOO_OLD: "use an image with a newer Ray, and name its version",
    MemberReason.KUBERAY_MISSING: _MEMBER,
    MemberReason.KUBERAY_TOO_OLD: _MEMBER,
    MemberReason.RESOLVER_MISSING: _MEMBER,
    MemberReason.DISK_FULL: _MEMBER,
    MemberReason.CANARY_ADMITTED: _MEMBER,
    MemberReason.LEDGER_BEHIND: "wait until the league's ledger takes receipts again; its platform team has to see to it",
}
_ALL: dict[str, str] = {
    **{str(reason): text for reason, text in MEMBER_REMEDIES.items()},
    **{str(reason): text for reason, text in REMEDIES.items()},
}


def remedy(reason: str) -> str:
    """Return what would help against a hub's or a member's reason."""
    return _ALL.get(reason, REMEDIES[Reason.NODE_REFUSED])
