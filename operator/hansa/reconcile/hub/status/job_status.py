"""An AIJob's status as it should be, from what was decided and what the member reports.

Every function takes the job and returns a whole status; a write is due when it differs from the
present one. Nothing that changes by itself (queue length, seconds used) makes a difference alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hansa.api.meta import Condition
from hansa.model.plan import Placement, Verdict, Waiting
from hansa.model.reasons import Reason
from hansa.model.snapshot import Yielded
from hansa.model.times import from_rfc3339, rfc3339
from hansa.reconcile.conditions import MAX_MESSAGE, StatedCondition
from hansa.reconcile.hub import refusals
from hansa.reconcile.hub.grant_view import GrantView
from hansa.reconcile.hub.job_view import JobView
from hansa.reconcile.hub.status import billing, outputs, queue_time, retries
from hansa.reconcile.hub.status.billing import Bill
from hansa.reconcile.hub.status.verdict_rows import rows_of
from hansa.reconcile.hub.status.whole_conditions import by_type, merge

MAX_PREEMPTIONS = 16
NODE_REMOVED = "NodeRemoved"
UNANSWERED, STARTING = "WaitingForNode", "Starting"
"""Why a job is not running yet: before and after its node accepted it."""
Status = dict[str, Any]

_QUIET = frozenset({"queuePosition", "startEstimate", "usage", "cost"})
"""Fields that ride along with a transition and are none themselves."""
FAULTS = frozenset(
    {
        Reason.MISCONFIGURED,
        Reason.UNKNOWN_JURISDICTION,
        Reason.UNKNOWN_POOL,
        Reason.NOT_ADMITTED_TO_POOL,
        Reason.NO_INSTITUTION,
        Reason.UNKNOWN_DATASET,
    }
)
"""Reasons for which the owner, not time, has to change something."""
PASSING = frozenset(
    {
        Reason.WAITING_FOR_QUOTA,
        Reason.WAITING_FOR_CAP,
        Reason.WAITING_FOR_FAIR_SHARE,
        Reason.WAITING_FOR_PREEMPTION,
        Reason.WAITING_FOR_CAPACITY,
        Reason.PENDING,
        Reason.OUTBID,
    }
)
"""Verdicts on nodes that may take a job: they follow what is free there, from one plan to the next."""


def placed(
    job: JobView, placement: Placement, epoch: int, verdicts: Iterable[Verdict], now_s: float
) -> Status:
    """Return the status that records a new epoch: from here on the node holds the job."""
    node = placement.site
    facts = [
        StatedCondition("Accepted", "True", "Accepted", "The request is valid."),
        StatedCondition("Placed", "True", Reason.PLACED, f"Granted to node {node}."),
        StatedCondition("Running", "False", UNANSWERED, f"Node {node} has not started it yet."),
        StatedCondition("Reconciling", "True", Reason.PLACED, f"Waiting for node {node}."),
    ]
    status = _status(job, facts, now_s) | {
        "node": node,
        "epoch": epoch,
        "workers": placement.workers,
        "grantedAt": rfc3339(now_s),
        "verdicts": rows_of(verdicts),
    }
    return _given(status | queue_time.told(job, now_s, waits=False))


def waiting(
    job: JobView,
    outcome: Waiting,
    verdicts: Iterable[Verdict],
    now_s: float,
    *,
    run: Bill | None = None,
) -> Status:
    """Return the status of a job that holds no node. ``run``: what the run that is now over used."""
    reason, message = outcome.reason, outcome.message or outcome.reason.value
    if reason in FAULTS:
        facts = [
            StatedCondition("Accepted", "False", reason, message),
            StatedCondition("Placed", "False", reason, message),
            StatedCondition("Stalled", "True", reason, message),
        ]
    else:
        facts = [
            StatedCondition("Accepted", "True", "Accepted", "The request is valid."),
            StatedCondition("Placed", "False", reason, message),
            StatedCondition("Reconciling", "True", reason, message),
        ]
    facts += _preempted(job.status, job.epoch)
    status = _status(job, facts, now_s) | {"verdicts": rows_of(verdicts)}
    status |= billing.settled(job.status, run)
    status |= queue_time.told(job, now_s, waits=reason not in FAULTS | {Reason.SUSPENDED})
    status |= dict.fromkeys(("node", "workers", "grantedAt", "runningAt", "finishedAt"))
    return _given(status)


def preemptions(
    job: JobView, grant: GrantView, in_favour_of: str, now_s: float, *, gaining_uid: str
) -> Status:
    """Return the record of the times a job was stopped for an institution's other work.

    ``in_favour_of`` empty: this grant's epoch is not to be stopped, so nothing may say it was.
    ``gaining_uid``: the very job that gains. Who leads next must know whose the room is.
    """
    known = job.status.get("preemptions", ())
    rows = [old for old in known if old["epoch"] != grant.epoch]
    if in_favour_of:
        row = {"node": grant.node, "epoch": grant.epoch, "inFavourOf": in_favour_of}
        row |= {"gainingUid": gaining_uid, "at": rfc3339(now_s)}
        rows = [*rows, row][-MAX_PREEMPTIONS:]
    return {"preemptions": rows} if rows or known else {}


def reported(job: JobView, grant: GrantView, bill: Bill, now_s: float) -> Status:
    """Return the status of a job that holds a node, with what the member reports."""
    ended = retries.end_of(job, grant)
    if ended is not None:
        return _ended(job, grant, ended, bill, now_s)
    node, running = grant.node, grant.holds("Running")
    facts = [
        StatedCondition("Accepted", "True", "Accepted", "The request is valid."),
        StatedCondition("Placed", "True", Reason.PLACED, f"Granted to node {node}."),
        _running(grant),
    ]
    victim = _preempted(job.status, grant.epoch)
    if victim:
        said = f"Node {node} was asked to stop it for other work."
        facts += [*victim, StatedCondition("Reconciling", "True", Reason.PREEMPTED, said)]
    elif grant.stopping:
        facts.append(
            StatedCondition("Reconciling", "True", "Stopping", f"Node {node} was asked to stop.")
        )
    elif not running:
        facts.append(
            StatedCondition("Reconciling", "True", Reason.PLACED, f"Waiting for node {node}.")
        )
    status = _status(job, facts, now_s) | outputs.log(grant)
    return _given(status | _times(job, grant, now_s) | billing.so_far(job.status, bill))


def refused(job: JobView, grant: GrantView, now_s: float, *, run: Bill | None = None) -> Status:
    """Return the status after a member said no, or could not run it: remembered, and holding nothing."""
    no = refusals.row_of(grant, now_s)
    message = f"Node {grant.node} {_deed(grant)}: {no['message'] or no['reason']}"
    outcome = Waiting(job.uid, Reason.NODE_REFUSED, message)
    status = waiting(job, outcome, (), now_s, run=run)
    return status | {"refusals": refusals.remembered(job.status.get("refusals", ()), no)}


def _deed(grant: GrantView) -> str:
    if grant.node_fault:
        return "could not run it"
    return "gave it back" if grant.given_back else "refused"


def outdated(job: JobView, grant: GrantView, now_s: float) -> Status:
    """Return the status while a later epoch than the hub knows may run at its node."""
    later = grant.status.highest_epoch
    message = (
        f"Node {grant.node} has seen epoch {later or 'later'} of this job, the hub remembers"
        f" {grant.epoch}, as after a restored backup. It waits for the node's release."
    )
    facts = [
        StatedCondition("Accepted", "True", "Accepted", "The request is valid."),
        StatedCondition("Placed", "False", Reason.WAITING_FOR_RELEASE, message),
        StatedCondition("Reconciling", "True", Reason.WAITING_FOR_RELEASE, message),
    ]
    return _status(job, facts, now_s)


def removed(job: JobView, opens_s: float, now_s: float) -> Status:
    """Return the status while the node that holds the job is no SovereignNode any more."""
    node = job.node
    message = (
        f"Node {node} has left the league. Its release is awaited; without one the job may run"
        f" elsewhere after {rfc3339(opens_s)}."
    )
    facts = [
        StatedCondition("Accepted", "True", "Accepted", "The request is valid."),
        StatedCondition("Placed", "Unknown", NODE_REMOVED, message),
        StatedCondition("Reconciling", "True", Reason.WAITING_FOR_RELEASE, message),
    ]
    return {**job.status, **_status(job, facts, now_s)}


def silent(job: JobView, opens_s: float, heartbeat_s: float, now_s: float) -> Status:
    """Return the status while the node that holds the job does not renew its Lease."""
    since = f"since {rfc3339(heartbeat_s)}" if heartbeat_s else "yet"
    message = (
        f"Node {job.node} has not been heard of {since}: whether the job runs there is not known."
        f" Without the node's release it may run elsewhere after {rfc3339(opens_s)}."
    )
    facts = [
        StatedCondition("Accepted", "True", "Accepted", "The request is valid."),
        StatedCondition("Placed", "True", Reason.PLACED, f"Granted to node {job.node}."),
        StatedCondition("Running", "Unknown", Reason.NODE_UNREACHABLE, message),
        StatedCondition("Reconciling", "True", Reason.NODE_UNREACHABLE, message),
    ]
    return {**job.status, **_status(job, facts, now_s)}


def words_of(status: Mapping[str, Any], kind: str) -> str:
    """Return the message of one condition."""
    return str(by_type(status.get("conditions")).get(kind, {}).get("message", ""))


def removed_since_s(status: Mapping[str, Any], now_s: float) -> float:
    """Return since when a job's status says that its node has left; now, if it does not."""
    row = by_type(status.get("conditions")).get("Placed", {})
    since_s = (
        from_rfc3339(row.get("lastTransitionTime")) if row.get("status") == "Unknown" else None
    )
    return since_s or now_s


def transition(job: JobView, wanted: Mapping[str, Any]) -> bool:
    """Tell whether ``wanted`` says anything new; that a node filled or emptied is none."""
    return _essence(wanted) != _essence(job.status)


def only_accepted(job: JobView, wanted: Mapping[str, Any]) -> bool:
    """Tell whether all that ``wanted`` says anew is that the node accepted what it was granted."""
    before = by_type(job.status.get("conditions")).get("Running", {})
    now = by_type(wanted.get("conditions"))
    if (before.get("reason"), now.get("Running", {}).get("reason")) != (UNANSWERED, STARTING):
        return False
    return not transition(job, {**wanted, "conditions": [*(now | {"Running": before}).values()]})


def _ended(job: JobView, grant: GrantView, ended: Condition, bill: Bill, now_s: float) -> Status:
    node = grant.node
    facts = [
        StatedCondition("Accepted", "True", "Accepted", "The request is valid."),
        StatedCondition("Placed", "True", Reason.PLACED, f"Granted to node {node}."),
        StatedCondition("Running", "False", "Finished", f"The run at node {node} has ended."),
        StatedCondition(ended.type, "True", ended.reason, ended.message),
    ]
    if ended.type == "Failed":
        facts.append(StatedCondition("Stalled", "True", ended.reason, ended.message))
    status = _status(job, facts, now_s) | _times(job, grant, now_s)
    status |= billing.so_far(job.status, bill)
    status.setdefault("finishedAt", rfc3339(now_s))
    return _given(status | outputs.at_end(job, grant))


def preempted_for(status: Mapping[str, Any], epoch: int) -> str:
    """Return the institution for which an epoch was stopped; empty when it was not."""
    rows = [row for row in status.get("preemptions", ()) if row["epoch"] == epoch]
    return str(rows[-1]["inFavourOf"]) if rows else ""


def yielded(status: Mapping[str, Any]) -> Yielded | None:
    """Return the last time that a job was stopped for another; None: never, or for whom is not known."""
    for row in status.get("preemptions", ())[-1:]:
        since_s = from_rfc3339(row.get("at"))
        if row.get("gainingUid") and since_s is not None:
            return Yielded(str(row["gainingUid"]), str(row["node"]), int(since_s))
    return None


def _preempted(status: Mapping[str, Any], epoch: int) -> list[StatedCondition]:
    gainer = preempted_for(status, epoch)
    message = f"Stopped in favour of work of {gainer}."
    return [StatedCondition("Preempted", "True", Reason.PREEMPTED, message)] if gainer else []


def _running(grant: GrantView) -> StatedCondition:
    condition = grant.condition("Running")
    if condition is not None:
        said = condition.message
        if grant.broken is not None:
            awaited = f" Another run may begin once node {grant.node} has released this one."
            said = f"{said[: MAX_MESSAGE - len(awaited)]}{awaited}"
        return StatedCondition("Running", condition.status, condition.reason, said)
    if grant.accepted:
        return StatedCondition("Running", "False", STARTING, f"Node {grant.node} accepted it.")
    return StatedCondition(
        "Running", "False", UNANSWERED, f"Node {grant.node} has not answered yet."
    )


def _status(job: JobView, facts: Iterable[StatedCondition], now_s: float) -> Status:
    kept = {name: value for name, value in job.status.items() if name not in _QUIET}
    kept |= billing.settled(job.status, None)
    kept["observedGeneration"] = job.generation
    if job.parsed.digest:
        kept["specDigest"] = job.parsed.digest
    kept["conditions"] = merge(
        job.status.get("conditions"), facts, now=rfc3339(now_s), generation=job.generation
    )
    return kept


def _times(job: JobView, grant: GrantView, now_s: float) -> Status:
    """Return start and end as first told: a time that the member puts ahead would move with ours."""
    told = {"runningAt": grant.running_s(now_s), "finishedAt": grant.finished_s(now_s)}
    return {
        name: job.status.get(name) or rfc3339(time_s)
        for name, time_s in told.items()
        if time_s is not None
    }


def _given(status: Status) -> Status:
    """Return a status without the fields that are to be removed."""
    return {name: value for name, value in status.items() if value is not None}


def _essence(status: Mapping[str, Any]) -> dict[str, Any]:
    essence = {name: value for name, value in status.items() if name not in _QUIET and value != []}
    essence["conditions"] = {
        kind: (row.get("status"), row.get("reason"), row.get("observedGeneration"))
        for kind, row in by_type(status.get("conditions")).items()
    }
    # Passing ones are ranked by reason: which of them is shown first, or at all, is no news either.
    told = [(row["node"], row["reason"]) for row in status.get("verdicts", ())]
    essence["verdicts"] = [row for row in told if row[1] not in PASSING]
    essence["told"] = bool(told)
    return essence
