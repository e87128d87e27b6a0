"""The institution's MemberPolicy as the agent holds it: parsed, or the reason it cannot be used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from hansa.api.memberpolicy import MemberPolicySpec
from hansa.api.texts import first_fault

NAME = "local"


@dataclass(frozen=True, slots=True)
class HeldPolicy:
    """One generation of the policy. ``spec`` None: nothing new may run, and ``problem`` says why."""

    spec: MemberPolicySpec | None = None
    generation: int = 0
    uid: str = ""
    problem: str = "there is no MemberPolicy named local; apply one"

    @property
    def stopped(self) -> bool:
        """Whether running work has to end."""
        return self.spec is not None and self.spec.switch == "Stopped"


def read_policy(manifest: Mapping[str, Any] | None) -> HeldPolicy:
    """Return the policy in a MemberPolicy object, or in none."""
    if manifest is None:
        return HeldPolicy()
    metadata = manifest["metadata"]
    generation, uid = int(metadata.get("generation", 0)), str(metadata.get("uid", ""))
    try:
        spec = MemberPolicySpec.model_validate(manifest.get("spec") or {})
    except ValidationError as error:
        return HeldPolicy(None, generation, uid, f"spec.{first_fault(error)}")
    return HeldPolicy(spec, generation, uid, "")
