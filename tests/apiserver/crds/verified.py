"""What verification adds to the objects of ``bases``."""

from __future__ import annotations

DIGEST = "sha256:" + "a" * 64
EARLY, LATE = "2026-01-01T00:00:00Z", "2099-01-01T00:00:00Z"
SEAL = {"keyid": DIGEST, "sig": "AAAA"}

SEGMENT = {"first": 4, "last": 8, "state": "a" * 64, "say": [5, 6, 7]}
VERIFIED = {
    "comparator": {
        "absolute": "0.001",
        "relative": "1e-6",
        "checkpoints": {"steps": 40, "every": 4},
    },
    "audit": {"of": "study", "epoch": 1, "node": "tartu", "segment": SEGMENT},
}
"""Of a job's spec."""
AUDITED = {
    "assurance": {
        "epoch": 1,
        "reached": "L1",
        "audit": "Due",
        "message": "drawn with a probability of 1.00 %",
        "at": EARLY,
    }
}
"""Of a job's status."""
SHOWN = {
    "assurance": {
        "nodeKey": DIGEST,
        "level": "L1",
        "since": EARLY,
        "until": LATE,
        "why": "L2 needs a fresh Probe",
        "signature": SEAL,
    },
    "audits": {
        "call": {
            "nodeKey": DIGEST,
            "epoch": 2,
            "closed": {"epoch": 1, "size": 3, "root": DIGEST},
            "signature": SEAL,
        },
        "commitment": {"epoch": 3, "digest": DIGEST},
        "reveal": {"epoch": 1, "root": DIGEST, "key": "AAAA"},
    },
    "hardware": {"report": "AAAA", "chain": "-----BEGIN CERTIFICATE-----"},
    "witness": {"request": "old 3", "cosigned": "hansa.dev/receipts", "refused": "NoMemory: none"},
}
"""Of a node's status."""
