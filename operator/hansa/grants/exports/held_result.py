"""A result that waits at the member for its owners' release, and whether they have given it.

The hub learns the digest and the size. The digest covers a nonce, too: a short result could be found by trying all
there are. Once held, a result leaves by signatures alone, whatever the policy comes to allow.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from hansa.api.job.status import RESULT_BYTES
from hansa.api.memberpolicy import MemberPolicySpec
from hansa.api.meta import Digest, Message, Model, Name, Timestamp
from hansa.api.workgrant import JobReference
from hansa.grants.envelope import canonical, digest, pre_auth, signature_holds, workload_name
from hansa.grants.exports.permits import Releaser, Subject, exportable
from hansa.grants.trust import by_id
from hansa.model.times import from_rfc3339
from hansa.ports import Signer

RELEASE_TYPE = "application/vnd.hansa.result-release.v1alpha1+json"
NONCE_TYPE = "application/vnd.hansa.result-nonce.v1alpha1+json"


class HeldResult(Model):
    """What the member keeps beside the result itself."""

    job: JobReference = Field(description="Whose result it is.")
    epoch: int = Field(ge=1, description="Epoch of the run.")
    institution: Name = Field(description="Institution it would go to.")
    datasets: tuple[Name, ...] = Field(max_length=16, description="Data sets the job read.")
    digest: Digest = Field(description="Of nonce and result.")
    bytes: int = Field(ge=0, le=RESULT_BYTES, description="Size of the result.")
    nonce: Digest = Field(description="Keeps a short result from being guessed by its digest.")
    until: Timestamp = Field(description="When it is deleted if nobody has released it.")
    rule: Message = Field(description="Field of the MemberPolicy for which it waits.")

    @property
    def run(self) -> str:
        """Name of the run."""
        return workload_name(self.job.uid, self.epoch)


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of a held result."""

    state: Literal["Waiting", "Released", "Refused"]
    why: str


def nonce(signer: Signer, job_uid: str, epoch: int) -> str:
    """Return the run's nonce: nobody without the node's key knows it, and each try gives the same."""
    message = pre_auth(NONCE_TYPE, canonical({"jobUid": job_uid, "epoch": epoch}))
    return "sha256:" + hashlib.sha256(signer.sign(message)).hexdigest()


def commitment(nonce_: str, result: str) -> str:
    """Return the digest that the hub is told."""
    return digest({"nonce": nonce_, "result": result})


def message(held: HeldResult) -> bytes:
    """Return the bytes that an owner signs to release it: which result, of what, to whom."""
    body = {
        "digest": held.digest,
        "jobUid": held.job.uid,
        "epoch": held.epoch,
        "institution": held.institution,
        "datasets": list(held.datasets),
    }
    return pre_auth(RELEASE_TYPE, canonical(body))


def decide(
    held: HeldResult,
    signatures: Mapping[str, str],
    policy: MemberPolicySpec | None,
    *,
    now_s: float,
) -> Decision:
    """Return what becomes of it; ``signatures``: by key id, base64. Owners count as they are now."""
    may = exportable(Subject(held.institution, held.datasets), policy)
    if policy is not None and may.result.verdict != "Deny":
        anybody = Releaser("it", by_id(policy.trusted_owners))
        missing = [
            releaser.whose
            for releaser in may.releasers or (anybody,)
            if not _signed(held, signatures, releaser)
        ]
        if not missing:
            return Decision("Released", "its owners have signed the release")
        why = f"an owner of {' and of '.join(missing)} has to sign"
    else:
        why = f"MemberPolicy {may.result.rule}"
    end_s = from_rfc3339(held.until)
    if end_s is None or now_s > end_s:
        return Decision("Refused", f"it was not released until {held.until}")
    return Decision("Waiting", why)


def _signed(held: HeldResult, signatures: Mapping[str, str], releaser: Releaser) -> bool:
    return any(
        signature_holds(key, message(held), signatures[by])
        for by, key in releaser.keys.items()
        if by in signatures
    )
