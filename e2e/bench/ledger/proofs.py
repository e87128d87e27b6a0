"""The proof that a receipt is logged: its size and what checking it costs, in a log of many receipts."""

from __future__ import annotations

import hashlib
import statistics
import tempfile
import time
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from e2e.bench.ledger.members import Later
from e2e.bench.report import milliseconds
from hansa.adapters.files import FileStore
from hansa.adapters.keys import Ed25519Signer
from hansa.adapters.leaf_index import SqliteLeafIndex
from hansa.receipts.bundle import log_entry
from hansa.translog.log.appender import Appender
from hansa.translog.note import KeyType
from hansa.translog.policy import Policy
from hansa.translog.proof import LogProof
from hansa.translog.signatures import NoteSigner

AT_ONCE = 50_000
CHECKED = 200


def measure(leaves: int) -> dict[str, object]:
    """Return ``leaves``, ``proof_bytes`` (the longest) and ``proof_verify_ms`` (the median)."""
    signer = Ed25519Signer(Ed25519PrivateKey.from_private_bytes(b"b" * 32))
    own = NoteSigner.of("example.org/receipts", KeyType.ED25519, signer)
    policy = Policy.of_logs([own.key])
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as folder:
        index = SqliteLeafIndex(Path(folder) / "leaves.db")
        log = Appender(FileStore(Path(folder) / "log"), index, [own], policy)
        for start in range(0, leaves, AT_ONCE):
            log.append([_entry(n) for n in range(start, min(leaves, start + AT_ONCE))])
            log.checkpoint(Later())
        entries = [_entry(n) for n in range(0, leaves, max(1, leaves // CHECKED))]
        proofs = [log.prove(entry).encode() for entry in entries]
        index.close()
    times = []
    for entry, proof in zip(entries, proofs, strict=True):
        since = time.perf_counter()
        LogProof.parse(proof).verify(entry, policy)
        times.append(milliseconds(since))
    return {
        "leaves": leaves,
        "proof_bytes": max(map(len, proofs)),
        "proof_verify_ms": round(statistics.median(times), 3),
    }


def _entry(number: int) -> bytes:
    return log_entry(f"sha256:{hashlib.sha256(str(number).encode()).hexdigest()}")
