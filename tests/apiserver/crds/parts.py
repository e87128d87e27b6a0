"""What several kinds have in common, or what is long: values for the complete objects of ``bases``."""

from __future__ import annotations

from tests.apiserver.crds.verified import DIGEST, EARLY, LATE

RESIDENCY = {
    "location": {"allow": ["EU"], "deny": ["BR"]},
    "legalControl": {"allow": ["EU"], "deny": ["US"]},
}
CONDITION = {
    "type": "Ready",
    "status": "True",
    "reason": "Pending",
    "message": "all is well",
    "lastTransitionTime": EARLY,
    "observedGeneration": 1,
}
OVERLAY = {"name": "adequate", "places": ["JP"]}
KEY = {"name": "league", "publicKey": "A" * 43 + "="}
SIGNATURE = {"keyId": DIGEST, "signature": "AAAA"}
KEPT_LOG = {"start": 0, "end": 4, "until": LATE}
POD_END = {
    "role": "Head",
    "reason": "OOMKilled",
    "exitCode": 137,
    "restarts": 1,
    "at": EARLY,
    "events": ["BackOff: again"],
    "logTail": "done",
}
