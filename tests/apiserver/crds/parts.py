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
EXPORT = {"name": "result", "digest": DIGEST, "bytes": 2, "state": "Waiting", "nonce": DIGEST}
EXPORT |= {"message": "an owner has to sign"}
GROUP = {
    "name": "more",
    "count": 1,
    "gpus": 0,
    "cpu": "1",
    "memory": "1Gi",
    "customResources": [{"name": "ssd", "amount": 1}],
}
INDEX = {"host": "pypi.example.org", "address": "192.0.2.7", "port": 8443, "path": "root/simple"}
