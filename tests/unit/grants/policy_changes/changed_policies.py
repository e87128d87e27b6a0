"""One change of every field of the MemberPolicy, and the grant that was accepted before it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hansa.api.memberpolicy import MemberPolicySpec
from tests.residency_kit import stands_in, under_law_of
from tests.unit.grants.grant_kit import FOREIGN, authorized, grant, job, policy

NEAR = stands_in("overlay/near")
OURS = {
    "name": "cohort", "jurisdiction": "EE", "claim": "cohort", "owners": ["clinic"],
    "residency": NEAR,
}  # fmt: skip
"""Its holder says what near means; the hub says that it is everywhere."""
UNSIGNED = job(
    secrets=[{"name": "token"}],
    result={"maxBytes": 9},
    maxRuntimeSeconds=600,
    assurance="L1",
    runtimeEnv={"pip": "six==1.16.0 --hash=sha256:" + "a" * 64},
)
OVERLAYS = [{"name": "near", "places": ["World"]}]
GRANT = grant(authorized(UNSIGNED), overlays=OVERLAYS)
BEFORE: dict[str, Any] = {
    "datasets": [OURS],
    "overlays": [{"name": "near", "places": ["EE"]}],
    "assurance": "L1",
    "exports": {"logs": "Tail"},
    "maxConcurrentJobs": 1,
    "tenants": ["hospital"],
    "packageIndex": {"host": "pypi.example.org", "address": "192.0.2.7"},
}
STOPS, TAKEN_BACK = "stops", "taken back"
"""What becomes of a run; of a grant that is accepted, while runs finish."""
AT_THE_FENCE, AT_THE_END = "at the fence", "at the end"
"""Nothing ends: the change counts where a run's fence is made; where a run ends."""


@dataclass(frozen=True)
class Change:
    """One field of a policy that accepted a grant, and what becomes of the grant when it changes."""

    to: Any
    fate: str
    before: dict[str, Any] = field(default_factory=dict)
    """What else the policy says than ``BEFORE``."""
    grant: dict[str, Any] = field(default_factory=lambda: GRANT)


CHANGES: dict[str, Change] = {
    "jurisdiction": Change("LV", STOPS),
    "legalControl": Change(
        ["EE", "US"], STOPS, {"datasets": [OURS | {"residency": under_law_of("EE")}]}
    ),
    "switch: Paused": Change("Paused", TAKEN_BACK),
    "switch: Stopped": Change("Stopped", STOPS),
    "trustedHubs": Change([{"name": "x", "publicKey": FOREIGN.public_key}], STOPS),
    "trustedOwners": Change([{"name": "x", "publicKey": FOREIGN.public_key}], STOPS),
    "ownerSignature": Change(
        "Required",
        STOPS,
        {"datasets": [OURS | {"owners": []}]},
        grant(UNSIGNED, overlays=OVERLAYS),
    ),
    "overlays": Change([{"name": "near", "places": ["LV"]}], STOPS),
    "tenants": Change(["bank"], STOPS),
    "workloads": Change(["FineTune"], TAKEN_BACK),
    "imageRegistries": Change(["other.example"], STOPS),
    "datasets: gone": Change([], STOPS),
    "datasets: residency": Change([OURS | {"residency": stands_in("LV")}], STOPS),
    "datasets: tenants": Change([OURS | {"tenants": ["bank"]}], STOPS),
    "datasets: owners": Change([OURS | {"owners": ["registry"]}], STOPS),
    "datasets: exports": Change([OURS | {"exports": {"logs": "Deny"}}], AT_THE_END),
    "secrets": Change([], STOPS),
    "lending": Change([{"gpuClass": "nvidia-rtx-4090", "maxGpus": 1}], TAKEN_BACK),
    "maxRuntimeSeconds": Change(599, TAKEN_BACK),
    "maxConcurrentJobs": Change(0, TAKEN_BACK),
    "hours": Change({"fromHour": 9, "toHour": 10}, TAKEN_BACK),
    "egress": Change([{"cidr": "10.0.0.0/8"}], AT_THE_FENCE),
    "packageIndex: gone": Change(None, TAKEN_BACK),
    "packageIndex: other": Change(
        {"host": "other.example.org", "address": "192.0.2.8"}, AT_THE_FENCE
    ),
    "exports": Change({"result": "Allow", "logs": "Allow"}, AT_THE_END),
    "tenantExports": Change([{"tenant": "hospital"}], AT_THE_END),
    "assurance": Change("L0", TAKEN_BACK),
}


def law_before(name: str) -> MemberPolicySpec:
    """Return the policy that accepted the grant of a row."""
    return policy(**BEFORE | CHANGES[name].before)


def law_after(name: str) -> MemberPolicySpec:
    """Return the same with the one field changed."""
    row = CHANGES[name]
    return policy(**BEFORE | row.before | {name.partition(":")[0]: row.to})
