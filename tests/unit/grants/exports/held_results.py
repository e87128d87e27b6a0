"""A result that waits for its release."""

from __future__ import annotations

from typing import Any

from hansa.grants.exports import held_result
from hansa.grants.exports.held_result import HeldResult
from hansa.model.times import rfc3339
from tests.residency_kit import EVERYWHERE
from tests.unit.grants.grant_kit import FOREIGN, NODE, NOW_S, OWNER, UID, policy

RESULT = '{"auc": 0.93}'
NONCE = held_result.nonce(NODE, UID, 3)
OWNERS = [
    {"name": "clinic", "publicKey": OWNER.public_key},
    {"name": "registry", "publicKey": FOREIGN.public_key},
]


def held(**changes: Any) -> HeldResult:
    return HeldResult.model_validate(
        {
            "job": {"namespace": "hospital", "name": "study", "uid": UID},
            "epoch": 3,
            "institution": "hospital",
            "datasets": ["cohort"],
            "digest": held_result.commitment(NONCE, RESULT),
            "bytes": len(RESULT),
            "nonce": NONCE,
            "until": rfc3339(NOW_S + 60),
            "rule": "spec.datasets[cohort].exports.result: OnRelease",
        }
        | changes
    )


def cohort(name: str = "cohort", result: str = "OnRelease", *owners: str) -> dict[str, Any]:
    exports = {"result": result}
    owned = list(owners or ("clinic",))
    return {
        "name": name,
        "jurisdiction": "EE",
        "claim": name,
        "owners": owned,
        "exports": exports,
        "residency": EVERYWHERE,
    }


def law(*datasets: dict[str, Any], **changes: Any) -> Any:
    return policy(datasets=list(datasets or (cohort(),)), trustedOwners=OWNERS, **changes)
