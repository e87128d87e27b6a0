"""What the member writes into a grant's status, as merge patches; and what it reads back from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hansa.grants.exports.held_result import Decision, HeldResult
from hansa.grants.reasons import MemberReason, Objection
from hansa.model.times import rfc3339
from hansa.ports import Manifest
from hansa.reconcile.conditions import StatedCondition, merged
from hansa.reconcile.member.end_reasons import EndReason, explain
from hansa.reconcile.member.lifecycle import Reported
from hansa.reconcile.member.outgoing import Outgoing

MAX_OBJECTIONS = 4


@dataclass(frozen=True, slots=True)
class Stamp:
    """When, and under which generation of the policy, a status is written."""

    now_s: float
    policy_generation: int


def reported(grant: Mapping[str, Any]) -> Reported:
    """Return what the hub has been told of a grant."""
    status = grant.get("status") or {}
    rows = status.get("conditions") or ()
    verdicts = {c.get("type"): c.get("status") for c in rows}
    accepted = verdicts.get("Accepted")
    return Reported(
        accepted=None if accepted not in {"True", "False"} else accepted == "True",
        rendered=bool(status.get("renderedAt")),
        running=bool(status.get("runningAt")),
        finished=bool(status.get("finishedAt")),
        released=bool(status.get("release")),
        reason=_reason(rows) if status.get("finishedAt") else "",
    )


def _reason(rows: Iterable[Mapping[str, Any]]) -> str:
    return next((str(row.get("reason")) for row in rows if row.get("type") == "Running"), "")


def is_outdated(grant: Mapping[str, Any]) -> bool:
    """Tell whether the hub was told that it knows less than the member, and waits for its release."""
    rows = (grant.get("status") or {}).get("conditions") or ()
    stale = ("Accepted", "False", MemberReason.STALE_EPOCH.value)
    said = any((c.get("type"), c.get("status"), c.get("reason")) == stale for c in rows)
    return said and not reported(grant).released


def accepted(grant: Mapping[str, Any], workload: str, stamp: Stamp) -> Manifest:
    """Return the patch that says yes."""
    said = StatedCondition(
        "Accepted", "True", "Accepted", "The member has verified and accepted the grant."
    )
    fields = {"acceptedAt": rfc3339(stamp.now_s), "workload": f"{workload}/{workload}"}
    return _patch(grant, stamp, fields, said)


def refused(grant: Mapping[str, Any], objections: tuple[Objection, ...], stamp: Stamp) -> Manifest:
    """Return the patch that says no, and why; the gravest reason names the condition."""
    message = "; ".join(objection.message for objection in objections[:MAX_OBJECTIONS])
    said = StatedCondition("Accepted", "False", objections[0].reason.value, message)
    return _patch(grant, stamp, {}, said)


def refused_as_stale(
    grant: Mapping[str, Any],
    objections: tuple[Objection, ...],
    stamp: Stamp,
    *,
    highest_epoch: int,
    release: Manifest | None,
) -> Manifest:
    """Return the refusal of an old epoch; ``release``: None while a later one may run here."""
    patch = refused(grant, objections, stamp)
    patch["status"]["highestEpoch"] = highest_epoch
    if release is not None:
        patch["status"]["release"] = release
    return patch


def refused_again(grant: Mapping[str, Any], reason: str, stamp: Stamp) -> Manifest:
    """Return the patch that repeats a refusal whose words are lost."""
    said = StatedCondition(
        "Accepted", "False", reason, "The member refused this epoch before; see its log."
    )
    return _patch(grant, stamp, {}, said)


def running(grant: Mapping[str, Any], at_s: float, rendered_s: float, stamp: Stamp) -> Manifest:
    """Return the patch that says that all workers run."""
    fields = {"runningAt": rfc3339(at_s), "renderedAt": rfc3339(rendered_s)}
    return _patch(
        grant, stamp, fields, StatedCondition("Running", "True", "Running", "All workers run.")
    )


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended, as far as it may be told."""

    reason: EndReason
    at_s: float
    gpu_seconds: int
    told: Outgoing
    exports: tuple[Manifest, ...] = ()
    """Rows of what waits for its release, by ``export``."""
    post_mortem: tuple[Manifest, ...] = ()
    """Rows of pods that died, as far as they may be told of."""
    running_s: float | None = None
    """Since when it ran, where it was over before anybody could say that it runs."""


def finished(grant: Mapping[str, Any], ending: Ending, stamp: Stamp) -> Manifest:
    """Return the patch that says how the run ended, with what the policy lets out."""
    fields: Manifest = {
        "finishedAt": rfc3339(ending.at_s),
        "gpuSeconds": ending.gpu_seconds,
    }
    if ending.running_s is not None:
        fields["runningAt"] = rfc3339(ending.running_s)
    if ending.told.result is not None:
        fields["result"] = ending.told.result
    if ending.told.tail is not None:
        fields["logTail"] = ending.told.tail
    if ending.exports:
        fields["exports"] = list(ending.exports)
    if ending.post_mortem:
        fields["postMortem"] = list(ending.post_mortem)
    return _patch(grant, stamp, fields, *_verdict(ending.reason, ending.told.message))


def export(held: HeldResult, decision: Decision) -> Manifest:
    """Return the row that says of a held result what the hub may know: no word of it before its release."""
    row: Manifest = {
        "name": "result",
        "digest": held.digest,
        "bytes": held.bytes,
        "state": decision.state,
        "message": decision.why,
    }
    return row | ({"nonce": held.nonce} if decision.state == "Released" else {})


def released(
    grant: Mapping[str, Any],
    reason: EndReason,
    release: Manifest,
    stamp: Stamp,
    words: str = "",
    *,
    why: str = "",
    running_s: float | None = None,
) -> Manifest:
    """Return the patch with the signed release; it also ends what was never reported as ended.

    ``words``: what was seen beside the reason, for the job's owner. ``why``: how it is known that nothing
    runs, where not all is gone. ``running_s``: since when it ran,
    where the hub has never heard of that.
    """
    fields: Manifest = {"release": release}
    if running_s is not None:
        fields["runningAt"] = rfc3339(running_s)
    nothing = f"Nothing of this epoch runs any more. {why}".strip()
    said = [StatedCondition("Released", "True", reason.value, nothing)]
    if not reported(grant).finished:
        fields["finishedAt"] = rfc3339(stamp.now_s)
        said += _verdict(reason, f"{explain(reason)} {words}".strip())
    return _patch(grant, stamp, fields, *said)


def _verdict(reason: EndReason, message: str) -> list[StatedCondition]:
    said = [StatedCondition("Running", "False", reason.value, message)]
    if reason.verdict != "Interrupted":
        said.append(StatedCondition(reason.verdict, "True", reason.value, message))
    return said


def _patch(
    grant: Mapping[str, Any], stamp: Stamp, fields: Manifest, *said: StatedCondition
) -> Manifest:
    generation = int(grant["metadata"].get("generation", 0))
    old = (grant.get("status") or {}).get("conditions") or ()
    status = {
        **fields,
        "observedGeneration": generation,
        "policyGeneration": stamp.policy_generation,
        "conditions": merged(old, said, now_s=stamp.now_s, generation=generation),
    }
    return {"status": status}
