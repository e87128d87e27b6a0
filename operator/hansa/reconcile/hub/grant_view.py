"""A WorkGrant as the hub reads it: what was granted, and what the member says became of it.

The status is the member's word: validated, bounded, and believed only where the hub can bear a lie.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from hansa.api.kinds import AIJOB
from hansa.api.meta import Condition
from hansa.api.workgrant import WorkGrantStatus
from hansa.grants.reasons import MemberReason
from hansa.model.times import from_rfc3339

DEFAULT_UNATTENDED_S = 3600
EMPTY = WorkGrantStatus()
STALE_EPOCH = MemberReason.STALE_EPOCH.value


@dataclass(frozen=True, slots=True)
class GrantView:
    """One grant at one resourceVersion. Times in seconds since the Unix epoch."""

    name: str
    namespace: str
    uid: str
    resource_version: str
    node: str
    job_uid: str
    job_path: str
    """Where the AIJob is, or was."""
    epoch: int
    digest: str
    workers: int
    granted_s: float
    not_after_s: float
    max_unattended_s: int
    stopping: bool
    deleting: bool
    status: WorkGrantStatus

    @property
    def refused(self) -> Condition | None:
        """The member's refusal; a grant it once accepted cannot be refused any more."""
        accepted = self.condition("Accepted")
        if accepted is None or accepted.status != "False" or self.status.accepted_at is not None:
            return None
        return accepted

    @property
    def outdated(self) -> bool:
        """Whether the member has seen a later epoch than this: then the hub has forgotten it."""
        return self.refused is not None and self.refused.reason == STALE_EPOCH

    @property
    def accepted(self) -> bool:
        """Whether the member took the job."""
        return self.holds("Accepted")

    @property
    def ended(self) -> Condition | None:
        """The condition that says how the run ended, if it did."""
        for kind in ("Succeeded", "Failed"):
            condition = self.condition(kind)
            if condition is not None and condition.status == "True":
                return condition
        return None

    @property
    def awaits_export(self) -> bool:
        """Whether the member holds something that may still come, after the run is over."""
        return any(export.state == "Waiting" for export in self.status.exports)

    def condition(self, kind: str) -> Condition | None:
        """Return one condition."""
        return next((item for item in self.status.conditions if item.type == kind), None)

    def holds(self, kind: str) -> bool:
        """Tell whether a condition is True."""
        condition = self.condition(kind)
        return condition is not None and condition.status == "True"


def parse_grant(manifest: Mapping[str, Any]) -> GrantView | None:
    """Read a WorkGrant; None for one that no hub wrote."""
    meta = manifest["metadata"]
    try:
        spec = manifest["spec"]
        disconnection = spec["jobSpec"].get("disconnection") or {}
        unattended = disconnection.get("maxUnattendedSeconds", DEFAULT_UNATTENDED_S)
        return GrantView(
            name=meta["name"],
            namespace=meta["namespace"],
            uid=meta["uid"],
            resource_version=meta["resourceVersion"],
            node=str(spec["node"]),
            job_uid=str(spec["job"]["uid"]),
            job_path=AIJOB.path(str(spec["job"]["namespace"]), str(spec["job"]["name"])),
            epoch=int(spec["epoch"]),
            digest=str(spec["specDigest"]),
            workers=int(spec["workers"]),
            granted_s=from_rfc3339(meta.get("creationTimestamp")) or 0.0,
            not_after_s=from_rfc3339(spec["notAfter"]) or float("inf"),
            max_unattended_s=int(unattended),
            stopping=spec.get("cancel") == "Stop",
            deleting="deletionTimestamp" in meta,
            status=_read_status(manifest.get("status") or {}),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _read_status(wire: Mapping[str, Any]) -> WorkGrantStatus:
    try:
        return WorkGrantStatus.model_validate(wire)
    except ValidationError:
        # As if nothing had been reported: the fence then waits, which is the safe side.
        return EMPTY
