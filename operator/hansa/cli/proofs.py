"""Proofs that receipts are in the transparency log: made from its files, checked by its key or a policy."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from hansa.adapters.files import FileStore
from hansa.adapters.leaf_index import SqliteLeafIndex
from hansa.errors import NotFound, Retryable, Terminal
from hansa.receipts.bundle import CheckProof, Disputed, log_entry
from hansa.translog.log.prover import Prover
from hansa.translog.note import VerifierKey
from hansa.translog.policy import Policy
from hansa.translog.proof import LogProof

if TYPE_CHECKING:
    # Who checks a proof needs no database.
    from hansa.ledger.receipts.evidence import Dispute

MOST_CHARACTERS = 4096
LEAVES = "leaves.db"
"""Where the ledger keeps the index of leaves by itself: beside the log's folder."""


def prover_of(log: Path, index: Path | None) -> Prover:
    """Return who makes proofs from a log's folder and its index of leaves; raises ``Terminal`` where they are not."""
    leaves = index or log.parent / LEAVES
    for path in (log, leaves):
        if not path.exists():
            raise Terminal(f"{path} is not there; name the log's folder and its index of leaves")
    return Prover(FileStore(log).read, SqliteLeafIndex(leaves).find)


def proof_of(prover: Prover, digest: str) -> str:
    """Return the proof of a receipt's place as text; raises ``Retryable`` for one that is not logged yet."""
    try:
        return prover.prove(log_entry(digest)).encode().decode()
    except NotFound as error:
        raise Retryable(f"{digest} is not logged yet: ask again, or leave --log out") from error


def disputed(disputes: Iterable[Dispute]) -> tuple[Disputed, ...]:
    """Return what speaks against a receipt, as a bundle has it."""
    return tuple(
        Disputed(fault=one.fault, field=one.field, message=one.message[:MOST_CHARACTERS])
        for one in disputes
    )


def proof_check(log_key: str | None, policy: Path | None) -> CheckProof | None:
    """Return what checks proofs; None: nobody asks for them. Raises ``Terminal`` for what is no key or policy."""
    if log_key and policy:
        raise Terminal("--log-key and --policy exclude each other: the policy names the log's key")
    if log_key:
        return checked_by(Policy.of_logs([VerifierKey.parse(log_key)]))
    return checked_by(Policy.parse(policy.read_bytes())) if policy else None


def checked_by(policy: Policy) -> CheckProof:
    """Return what checks proofs by a policy."""

    def check(digest: str, proof: str) -> str:
        try:
            LogProof.parse(proof.encode()).verify(log_entry(digest), policy)
        except Terminal as error:
            return str(error)
        return ""

    return check
