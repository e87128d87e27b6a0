"""Whether the owners of the data have signed the work: nothing of theirs runs without, whatever the hub says."""

from __future__ import annotations

from collections.abc import Iterator

from hansa.api.aijob import Authorization
from hansa.api.memberpolicy import Dataset
from hansa.grants import authorization
from hansa.grants.facts import Case
from hansa.grants.reasons import MemberReason, Objection
from hansa.grants.trust import by_id
from hansa.model.times import from_rfc3339


def owner_objections(case: Case) -> Iterator[Objection]:
    """Object to known owners' signatures that do not hold, and to each that is missing.

    A known owner's signature that does not hold is an objection even where none is needed.
    """
    keys = by_id(case.policy.trusted_owners)
    names = {by: owner.name for owner in case.policy.trusted_owners for by in by_id((owner,))}
    signed: set[str] = set()
    for said in case.spec.job_spec.authorizations:
        if said.key_id not in keys:
            continue
        objection = _spoilt(case, said, keys[said.key_id], names[said.key_id])
        if objection is None or objection.reason is MemberReason.AUTHORIZATION_SPENT:
            signed.add(names[said.key_id])
        if objection is not None:
            yield objection
    yield from _missing(case, signed)


def _spoilt(case: Case, said: Authorization, key: str, owner: str) -> Objection | None:
    """Return why one signature does not count."""
    if not authorization.holds(said, case.spec.job_spec, case.spec.institution, key):
        return Objection(
            MemberReason.OWNER_SIGNATURE_INVALID,
            f"the signature of {owner} does not cover this work of {case.spec.institution}: it was"
            " changed after signing, or signed for another institution; sign it again with"
            " `kubectl hansa sign`",
        )
    end = from_rfc3339(said.not_after)
    if end is None or case.facts.now_s > end:
        what = f"ended at {said.not_after}"
    elif (used := case.facts.uses(authorization.identity(said))) >= said.max_runs:
        what = f"was used for {used} of {said.max_runs} runs here"
    else:
        return None
    return Objection(
        MemberReason.AUTHORIZATION_SPENT, f"the signature of {owner} {what}; it has to sign again"
    )


def _missing(case: Case, signed: set[str]) -> Iterator[Objection]:
    policy = case.policy
    wanted = {source.name for source in case.spec.job_spec.data}
    for dataset in policy.datasets:
        if dataset.name in wanted and _needed(case, dataset) and not signed & {*dataset.owners}:
            whose = " or ".join(dataset.owners) or "its owner, but MemberPolicy names none"
            yield Objection(
                MemberReason.OWNER_SIGNATURE_MISSING,
                f"work on data set {dataset.name} runs here only with the signature of {whose}"
                " (MemberPolicy spec.datasets[].owners); sign the job with `kubectl hansa sign`",
            )
    if policy.owner_signature == "Required" and not signed:
        yield Objection(
            MemberReason.OWNER_SIGNATURE_MISSING,
            "this institution runs work only with the signature of a data owner it knows"
            " (MemberPolicy spec.trustedOwners); sign the job with `kubectl hansa sign`",
        )


def _needed(case: Case, dataset: Dataset) -> bool:
    return bool(dataset.owners) or case.policy.owner_signature != "NotRequired"
