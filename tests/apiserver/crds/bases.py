"""One complete, valid object per kind: every field set, every list with an item.

The constraint tests change one value of these at a time, so each field must occur. Fields that
exclude each other are left to ``crd_cases.PREPARE``.
"""

from __future__ import annotations

from hansa.api.meta import API_VERSION
from tests.apiserver.crds.parts import (
    CONDITION,
    EXPORT,
    GROUP,
    INDEX,
    KEPT_LOG,
    KEY,
    OVERLAY,
    POD_END,
    RESIDENCY,
    SIGNATURE,
)
from tests.apiserver.crds.verified import AUDITED, DIGEST, EARLY, LATE, SEAL, SHOWN, VERIFIED

UID = "0f8c2f4e-7c1c-4f7b-9d9a-5d2f1e8a7b60"

JOB_SPEC = {
    "pool": "league",
    "workload": "Batch",
    "image": f"hansa.local/ray@{DIGEST}",
    "entrypoint": ["python3", "train.py"],
    "files": [{"name": "train.py", "content": "print(1)"}],
    "env": [{"name": "MODE", "value": "full"}],
    "secrets": [{"name": "token", "mode": "Environment"}],
    "runtimeEnv": {"pip": f"six==1.16.0 --hash=sha256:{'a' * 64}"},
    "ray": {
        "version": "2.60.0",
        "head": {"cpu": "500m", "memory": "2Gi", "gpus": 0},
        "workers": {
            "count": 1024,
            "minCount": 1,
            "gpus": 1,
            "gpuClass": "nvidia-l40s",
            "cpu": "1",
            "memory": "1Gi",
            "customResources": [{"name": "ssd", "amount": 1}],
        },
        "workerGroups": [GROUP],
    },
    "data": [{"name": "breast-cancer"}],
    "residency": RESIDENCY,
    "priority": 1,
    "maxRuntimeSeconds": 60,
    "checkpointSeconds": 60,
    "budget": {"limit": "10.5", "currency": "EUR"},
    "disconnection": {"policy": "Continue", "maxUnattendedSeconds": 60},
    "retry": {"limit": 3, "causes": [{"cause": "AppFailed", "limit": 1}]},
    "project": "screening",
    "assurance": "L0",
    **VERIFIED,
    "result": {"maxBytes": 4096},
    "authorizations": [
        {
            "keyId": DIGEST,
            "signature": "AAAA",
            "notAfter": LATE,
            "maxRuns": 1,
            "purpose": "study",
            "permit": "12/2026",
        }
    ],
    "ttlSecondsAfterFinished": 60,
    "suspend": False,
}

JOB_STATUS = {
    "observedGeneration": 1,
    "specDigest": DIGEST,
    "node": "tartu",
    "epoch": 1,
    "workers": 1,
    "queuePosition": 0,
    "startEstimate": {"p50": EARLY, "p90": LATE},
    "verdicts": [{"node": "riga", "reason": "ResidencyDenied", "message": "outside EE"}],
    "refusals": [
        {
            "node": "riga",
            "epoch": 1,
            "reason": "NodeRefused",
            "message": "no",
            "policyGeneration": 1,
            "specDigest": DIGEST,
        }
    ],
    "retries": [
        {
            "cause": "AppFailed",
            "times": 1,
            "specDigest": DIGEST,
            "node": "riga",
            "message": "0/3 nodes are available",
        }
    ],
    "preemptions": [
        {"node": "riga", "epoch": 1, "inFavourOf": "university", "gainingUid": "x", "at": EARLY}
    ],
    "grantedAt": EARLY,
    "runningAt": EARLY,
    "finishedAt": EARLY,
    "result": "{}",
    "logTail": "done",
    "log": {"epoch": 1, "start": 0, "text": "done", "state": "Open"},
    "keptLog": KEPT_LOG,
    "postMortem": {"node": "tartu", "epoch": 1, "pods": [POD_END]},
    "usage": {"gpuSeconds": 1, "wallSeconds": 1},
    "cost": {"amount": "0.1", "currency": "EUR"},
    "earlier": {
        "gpuSeconds": 1,
        "wallSeconds": 1,
        "cost": {"amount": "0.1", "currency": "EUR"},
    },
    **AUDITED,
    "conditions": [CONDITION],
}

NODE_SPEC = {
    "institution": "university",
    "jurisdiction": "EE",
    "legalControl": ["EE"],
    "accepted": "Accepted",
    "identityKey": "Ag" + "A" * 42,
    "datasets": ["digits"],
    "releaseKey": "A" * 43 + "=",
    "prices": [
        {
            "gpuClass": "nvidia-l40s",
            "perGpuHour": "0.4",
            "validFrom": EARLY,
            "watts": 350,
            "parts": {"energy": "0.1", "depreciation": "0.2", "operation": "0.1"},
        }
    ],
    "priceMode": "CostRecovery",
    "carbon": {"gramsPerKwh": 400, "asOf": "2026-05-01", "source": "national grid"},
    "cpuHourPrice": "0.01",
    "currency": "EUR",
    "operator": "hall",
    "assurance": "L0",
    "scheduling": "Open",
}

NODE_STATUS = {
    "observedGeneration": 1,
    "declaredJurisdiction": "EE",
    "declaredLegalControl": ["EE"],
    "policyGeneration": 1,
    "switch": "Open",
    "inventory": [
        {"gpuClass": "nvidia-l40s", "memory": "48Gi", "total": 4, "allocated": 1, "busy": 1}
    ],
    "shapes": [
        {
            "machines": 1,
            "gpuClass": "nvidia-l40s",
            "gpus": 4,
            "gpuMemory": "48Gi",
            "cpu": "64",
            "memory": "256Gi",
        }
    ],
    "datasets": [{"name": "digits", "jurisdiction": "EE", "residency": RESIDENCY}],
    "agentVersion": "0.1.0",
    "kuberayVersion": "1.6.1",
    "identity": {"key": "Ag" + "A" * 42, "sealed": "AAAA", "notAfter": LATE},
    "identityNotAfter": LATE,
    "lastHeartbeatTime": EARLY,
    "receipts": {
        "outbox": [{"payloadType": "a/b", "payload": "AAAA", "signatures": [SEAL]}],
        "waiting": 1,
        "taken": {
            "nodeKey": DIGEST,
            "sequence": 1,
            "digest": DIGEST,
            "at": EARLY,
            "signature": SEAL,
        },
        "proved": {"sequence": 1, "digest": DIGEST, "proof": "x"},
        "disputed": [{"digest": DIGEST, "fault": "Differs", "field": "gpus", "message": "x"}],
    },
    **SHOWN,
    "memberConditions": [CONDITION],
    "conditions": [CONDITION],
}

POOL_SPEC = {
    "nodes": {"names": ["tartu"], "jurisdictions": ["EE"]},
    "institutions": [
        {
            "institution": "university",
            "nominalGpus": 1_000_000,
            "borrowingLimitGpus": 1,
            "lendingLimitGpus": 0,
            "weight": 1,
        }
    ],
    "cohorts": [{"name": "baltic"}],
    "usageHalfLifeHours": 24,
    "residency": RESIDENCY,
    "overlays": [OVERLAY],
    "caps": [{"dimension": "Operator", "maxPercent": 50}],
    "preemption": {
        "policy": "Never",
        "minRuntimeSeconds": 1,
        "maxPerHour": 1,
        "patienceSeconds": 1,
    },
    "disconnection": {"maxUnattendedSeconds": 60},
    "assurance": "L0",
    "verification": {"floorPercent": 1, "auditDays": 7},
    "gpuClasses": ["nvidia-l40s"],
}

POOL_STATUS = {
    "observedGeneration": 1,
    "nodes": 1,
    "gpusTotal": 1,
    "gpusAllocated": 1,
    "queued": 1,
    "shares": [{"institution": "university", "usedGpus": 1, "queued": 1}],
    "conditions": [CONDITION],
}

GRANT_SPEC = {
    "issuer": DIGEST,
    "audience": DIGEST,
    "node": "tartu",
    "job": {"namespace": "clinic", "name": "study", "uid": UID},
    "institution": "university",
    "project": "screening",
    "epoch": 1,
    "notBefore": EARLY,
    "notAfter": LATE,
    "specDigest": DIGEST,
    "jobSpec": JOB_SPEC,
    "workers": JOB_SPEC["ray"]["workers"]["count"],
    "overlays": [OVERLAY],
    "signatures": [SIGNATURE],
    "cancel": "None",
}

GRANT_STATUS = {
    "observedGeneration": 1,
    "policyGeneration": 1,
    "acceptedAt": EARLY,
    "renderedAt": EARLY,
    "runningAt": EARLY,
    "finishedAt": EARLY,
    "workload": "aij-x/aij-x",
    "gpuSeconds": 1,
    "receipts": 1,
    "result": "{}",
    "exports": [EXPORT],
    "logTail": "done",
    "log": {"start": 0, "text": "done", "state": "Open"},
    "keptLog": KEPT_LOG,
    "postMortem": [POD_END],
    "release": {"epoch": 1, "releasedAt": EARLY, "keyId": DIGEST, "signature": "AAAA"},
    "conditions": [CONDITION],
}

POLICY_SPEC = {
    "jurisdiction": "EE",
    "legalControl": ["EE"],
    "switch": "Open",
    "trustedHubs": [KEY],
    "trustedOwners": [KEY],
    "ownerSignature": "NotRequired",
    "tenants": ["university"],
    "workloads": ["Batch"],
    "imageRegistries": ["hansa.local/"],
    "datasets": [
        {
            "name": "digits",
            "jurisdiction": "EE",
            "claim": "data",
            "path": "digits/v1",
            "residency": RESIDENCY,
            "tenants": ["university"],
            "owners": ["clinic"],
            "exports": {"result": "Allow", "logs": "Deny"},
        }
    ],
    "overlays": [OVERLAY],
    "secrets": [{"name": "token", "tenants": ["university"]}],
    "lending": [{"gpuClass": "nvidia-l40s", "maxGpus": 1}],
    "maxRuntimeSeconds": 60,
    "maxConcurrentJobs": 1,
    "hours": {"fromHour": 1, "toHour": 2},
    "egress": [{"cidr": "10.0.0.0/8", "ports": [443]}],
    "packageIndex": INDEX,
    "exports": {"result": "Allow", "logs": "Allow"},
    "tenantExports": [{"tenant": "university", "result": "Allow", "logs": "Tail"}],
    "assurance": "L0",
}

POLICY_STATUS = {
    "observedGeneration": 1,
    "refusals": [{"reason": "Tenant", "count": 1}],
    "nodeKeyId": DIGEST,
    "lastHubContactTime": EARLY,
    "canary": "Denied",
    "note": "all is well",
    "conditions": [CONDITION],
}


def _object(kind: str, name: str, spec: dict, status: dict) -> dict:
    metadata = {"name": name}
    return {
        "apiVersion": API_VERSION,
        "kind": kind,
        "metadata": metadata,
        "spec": spec,
        "status": status,
    }


PROJECT_SPEC = {
    "purpose": "screening for early signs",
    "budget": {"limit": "1000", "currency": "EUR"},
    "begin": EARLY,
    "end": LATE,
    "members": ["ana@clinic.example"],
}
PROJECT_STATUS = {
    "observedGeneration": 1,
    "spent": {"amount": "1.5", "currency": "EUR"},
    "spentAt": EARLY,
    "conditions": [CONDITION],
}

BASES = {
    "Project": _object("Project", "screening", PROJECT_SPEC, PROJECT_STATUS),
    "AIJob": _object("AIJob", "study", JOB_SPEC, JOB_STATUS),
    "ComputePool": _object("ComputePool", "league", POOL_SPEC, POOL_STATUS),
    "SovereignNode": _object("SovereignNode", "tartu", NODE_SPEC, NODE_STATUS),
    "WorkGrant": _object("WorkGrant", f"{UID}-e1", GRANT_SPEC, GRANT_STATUS),
    "MemberPolicy": _object("MemberPolicy", "local", POLICY_SPEC, POLICY_STATUS),
}
