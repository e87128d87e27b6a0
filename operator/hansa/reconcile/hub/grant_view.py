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
from hansa.grants.reasons import COURSES, NODE_FAULTS, MemberReason
from hansa.model.times import from_rfc3339
from hansa.reconcile.hub.job_view import log_request_of

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
    institution: str
    """Whom the run is charged to."""
    audience: str
    """SHA-256 of the key that was pinned for the node when the grant was made."""
    epoch: int
    digest: str
    job_spec: Mapping[str, Any]
    """The job's spec as it was granted."""
    workers: int
    granted_s: float
    not_after_s: float
    max_unattended_s: int
    stopping: bool
    deleting: bool
    status: WorkGrantStatus
    log_request: str = ""
    """Annotation that asks for the log; empty: nobody does."""

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
    def ended(self) -> bool:
        """Whether the member has told how the run ended."""
        return self.broken is not None or self.holds("Succeeded") or self.holds("Failed")

    @property
    def broken(self) -> Condition | None:
        """The condition that says why the run came to an end that a job may survive; None: it did not."""
        if self.holds("Succeeded"):
            return None
        said = map(self.condition, ("Running", "Failed", "Released"))
        return next((c for c in said if c is not None and c.reason in COURSES), None)

    @property
    def awaits_export(self) -> bool:
        """Whether the member holds something that may still come, after the run is over."""
        return any(export.state == "Waiting" for export in self.status.exports)

    @property
    def node_fault(self) -> Condition | None:
        """Why the run ended, where its node is not asked again at once."""
        said = self.broken
        return said if said is not None and said.reason in NODE_FAULTS else None

    @property
    def given_back(self) -> Condition | None:
        """The release of a run that the node took and never began; None where the hub withdrew it."""
        said = self.condition("Released")
        if said is None or self.stopping or self.ended or not self.accepted:
            return None
        return said if said.status == "True" and self.status.running_at is None else None

    @property
    def turned_down(self) -> Condition | None:
        """Why the node is not asked again at once."""
        return self.refused or self.node_fault or self.given_back

    def bound_s(self, now_s: float) -> float | None:
        """Return since when the node holds the job's room, by the member's word; None: not yet."""
        return self._told_s(self.status.accepted_at, now_s)

    def running_s(self, now_s: float) -> float | None:
        """Return when the first worker ran, by the member's word where that can be; None: not yet."""
        return self._told_s(self.status.running_at, now_s)

    def finished_s(self, now_s: float) -> float | None:
        """Return when the run ended, by the member's word where that can be; None: not yet."""
        return self._told_s(self.status.finished_at, now_s)

    def _told_s(self, time: str | None, now_s: float) -> float | None:
        """Return a time that the member tells: not before its grant was made, and not to come."""
        told_s = from_rfc3339(time)
        return None if told_s is None else min(now_s, max(self.granted_s, told_s))

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
            institution=str(spec.get("institution", "")),
            audience=str(spec.get("audience", "")),
            epoch=int(spec["epoch"]),
            digest=str(spec["specDigest"]),
            job_spec=spec["jobSpec"],
            workers=int(spec["workers"]),
            granted_s=from_rfc3339(meta.get("creationTimestamp")) or 0.0,
            not_after_s=from_rfc3339(spec["notAfter"]) or float("inf"),
            max_unattended_s=int(unattended),
            stopping=spec.get("cancel") == "Stop",
            deleting="deletionTimestamp" in meta,
            status=_read_status(manifest.get("status") or {}),
            log_request=log_request_of(meta),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _read_status(wire: Mapping[str, Any]) -> WorkGrantStatus:
    try:
        return WorkGrantStatus.model_validate(wire)
    except ValidationError:
        # As if nothing had been reported: the fence then waits, which is the safe side.
        return EMPTY
