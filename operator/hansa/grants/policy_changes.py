"""Law that changes: what becomes of work that was accepted under the law as it was.

Every objection of ``checks`` has its place in this table: it may keep new work out only, take back
what is accepted and not made yet, or end what runs. A field of the MemberPolicy acts through the
objections that it can raise; docs/reference/policy-changes.md has a row for each field.
"""

from __future__ import annotations

from enum import IntEnum

from hansa.api.memberpolicy import MemberPolicySpec
from hansa.grants.checks import RULES
from hansa.grants.facts import Case, Facts, Proposal
from hansa.grants.reasons import MemberReason, Objection, gravest_first


class Reach(IntEnum):
    """How far an objection reaches back."""

    NEW = 0
    """Only what is still to be judged: accepted work goes on."""
    ACCEPTED = 1
    """What is accepted and not made yet is taken back; running work finishes."""
    RUNNING = 2
    """Running work ends, too."""


REACH: dict[MemberReason, Reach] = {
    MemberReason.MALFORMED: Reach.NEW,
    MemberReason.WRONG_NODE: Reach.RUNNING,
    MemberReason.UNKNOWN_HUB: Reach.RUNNING,
    MemberReason.BAD_SIGNATURE: Reach.RUNNING,
    MemberReason.DIGEST_MISMATCH: Reach.RUNNING,
    MemberReason.POLICY_MISSING: Reach.NEW,
    MemberReason.CLOCK_SKEW: Reach.NEW,
    MemberReason.STALE_EPOCH: Reach.NEW,
    MemberReason.PREVIOUS_RUN_LIVES: Reach.NEW,
    MemberReason.WITHDRAWN: Reach.NEW,
    MemberReason.EXPIRED: Reach.NEW,
    MemberReason.NOT_YET_VALID: Reach.NEW,
    MemberReason.STOPPED: Reach.RUNNING,
    MemberReason.PAUSED: Reach.ACCEPTED,
    MemberReason.RESIDENCY_DENIED: Reach.RUNNING,
    MemberReason.LEGAL_CONTROL_DENIED: Reach.RUNNING,
    MemberReason.OWNER_SIGNATURE_INVALID: Reach.RUNNING,
    MemberReason.OWNER_SIGNATURE_MISSING: Reach.RUNNING,
    MemberReason.AUTHORIZATION_SPENT: Reach.ACCEPTED,
    MemberReason.TENANT_NOT_ACCEPTED: Reach.RUNNING,
    MemberReason.WORKLOAD_NOT_ACCEPTED: Reach.ACCEPTED,
    MemberReason.IMAGE_NOT_ALLOWED: Reach.RUNNING,
    MemberReason.DATASET_UNKNOWN: Reach.RUNNING,
    MemberReason.DATASET_NOT_LENT: Reach.RUNNING,
    MemberReason.SECRET_NOT_LENT: Reach.RUNNING,
    MemberReason.PACKAGES_NOT_ALLOWED: Reach.ACCEPTED,
    MemberReason.RUNTIME_TOO_LONG: Reach.ACCEPTED,
    MemberReason.GPUS_NOT_LENT: Reach.ACCEPTED,
    MemberReason.ASSURANCE_TOO_LOW: Reach.ACCEPTED,
    MemberReason.OUTSIDE_HOURS: Reach.ACCEPTED,
    MemberReason.TOO_MANY_JOBS: Reach.ACCEPTED,
    MemberReason.RAY_TOO_OLD: Reach.ACCEPTED,
    MemberReason.KUBERAY_MISSING: Reach.NEW,
    MemberReason.KUBERAY_TOO_OLD: Reach.NEW,
    MemberReason.RESOLVER_MISSING: Reach.NEW,
    MemberReason.DISK_FULL: Reach.NEW,
    MemberReason.CANARY_ADMITTED: Reach.ACCEPTED,
    MemberReason.LEDGER_BEHIND: Reach.NEW,
}
"""``WITHDRAWN`` is the hub's word and ends a run by itself, ``PREVIOUS_RUN_LIVES`` cannot come later."""


def judge_again(
    proposal: Proposal, policy: MemberPolicySpec, facts: Facts, reach: Reach
) -> Objection | None:
    """Return the gravest objection that takes back work of a grant accepted before, or None.

    ``reach``: what the work is: ``ACCEPTED`` while its objects are still to be made, ``RUNNING``
    afterwards. ``facts``: of now, with what the work itself holds left out.
    """
    case = Case(proposal, policy, facts)
    found = tuple(
        objection for rule in RULES for objection in rule(case) if REACH[objection.reason] >= reach
    )
    return gravest_first(found)[0] if found else None
