"""Which transparency log a receipt's proof is held against: by its key alone, or by a policy with witnesses."""

from __future__ import annotations

from pathlib import Path

from hansa.errors import Terminal
from hansa.receipts.bundle import CheckProof, log_entry
from hansa.translog.note import VerifierKey
from hansa.translog.policy import Policy
from hansa.translog.proof import LogProof


def proof_check(log_key: str | None, policy: Path | None) -> CheckProof | None:
    """Return what checks proofs; None: nobody asks for them. Raises ``Terminal`` for what is no key or policy."""
    if log_key and policy:
        raise Terminal("--log-key and --policy exclude each other: the policy names the log's key")
    if log_key:
        return _checked_by(
            Policy.parse(f"log {VerifierKey.parse(log_key)}\nquorum none\n".encode())
        )
    return _checked_by(Policy.parse(policy.read_bytes())) if policy else None


def _checked_by(policy: Policy) -> CheckProof:
    def check(digest: str, proof: str) -> str:
        try:
            LogProof.parse(proof.encode()).verify(log_entry(digest), policy)
        except Terminal as error:
            return str(error)
        return ""

    return check
