"""What comes next for a run: the case, what is seen of the run, what is to be done."""

from __future__ import annotations

from dataclasses import replace

from hansa.grants.epochs import BEGUN, EpochRecord, Outcome
from hansa.reconcile.member.contracts.time_limits import DYING_S, Contract
from hansa.reconcile.member.end_reasons import EndReason, explain
from hansa.reconcile.member.lifecycle import (
    OUTLIVED,
    CleanUp,
    End,
    Outlive,
    Refuse,
    Release,
    Render,
    ReportAccepted,
    Reported,
    ReportFinished,
    ReportRunning,
    Run,
    Situation,
)
from hansa.reconcile.member.workload import WorkloadView

NOW = 1_000_000.0
CONTRACT = Contract(unattended_limit_s=3585, max_runtime_s=7200, granted_s=NOW - 10_000)
STOP = Contract(unattended_limit_s=45, max_runtime_s=86_400, granted_s=NOW - 10_000)
TOLD = Reported(accepted=True)
RUNNING = Reported(accepted=True, rendered=True, running=True)
DONE = Reported(accepted=True, rendered=True, running=True, finished=True)
NEW = WorkloadView(NOW)
UP = WorkloadView(NOW - 100, started=True, running=True, running_s=NOW - 50)
SAYS_IT_RUNS = replace(UP, message="Job is currently running.")
GOOD = WorkloadView(NOW - 100, end=EndReason.SUCCEEDED, ended_s=NOW - 5)


def record(outcome=Outcome.ACCEPTED, reason="-"):
    return EpochRecord("uid", 1, "d", outcome, 0, 0, reason)


def run(**changes):
    return Run(
        **{"contract": CONTRACT, "record": record(), "reported": TOLD, "namespace": "Active"}
        | changes
    )


def begun(**changes):
    return run(record=record(reason=BEGUN), **changes)


def ended(reason="Succeeded", **changes):
    return run(record=record(Outcome.ENDED, reason), **changes)


def bad(reason, **more):
    return WorkloadView(NOW, end=reason, **more)


CALM = Situation(now_s=NOW)
TOLD_LOST = ended(namespace="Terminating", machine_lost=True, reported=Reported(released=True))
TABLE = {
    "refusal untold": (
        run(record=record(Outcome.REFUSED, "Paused"), reported=Reported()),
        CALM,
        Refuse("Paused"),
    ),
    "refusal told": (
        run(record=record(Outcome.REFUSED), reported=Reported(accepted=False)),
        CALM,
        None,
    ),
    "acceptance untold": (run(reported=Reported(), namespace="Absent"), CALM, ReportAccepted()),
    "to be made": (run(namespace="Absent"), CALM, Render()),
    "half made": (run(), CALM, Render()),
    "begun, and half made": (begun(), CALM, Render()),
    "begun, and gone": (begun(namespace="Absent"), CALM, End(EndReason.DELETED)),
    "made, and its object is gone": (run(made=True), CALM, End(EndReason.DELETED)),
    "made": (run(workload=NEW), CALM, None),
    "up": (run(workload=UP), CALM, ReportRunning(NOW - 50)),
    "up, no time known": (
        run(workload=WorkloadView(NOW, started=True, running=True)),
        CALM,
        ReportRunning(NOW),
    ),
    "up, and its command not begun": (
        run(workload=WorkloadView(NOW - 100, running=True, running_s=NOW - 50)),
        CALM,
        None,
    ),
    "up and told": (run(workload=UP, reported=RUNNING), CALM, None),
    "a pod was replaced and is not up yet": (
        run(workload=UP, reported=RUNNING, short_s=CONTRACT.start_limit_s),
        CALM,
        None,
    ),
    "a pod was replaced and did not come up again": (
        run(workload=UP, reported=RUNNING, short_s=CONTRACT.start_limit_s + 1),
        CALM,
        ReportFinished(EndReason.NEVER_STARTED, NOW, explain(EndReason.NEVER_STARTED)),
    ),
    "its head is another one": (
        run(workload=UP, reported=RUNNING, head_anew=True),
        CALM,
        ReportFinished(EndReason.HEAD_LOST, NOW, explain(EndReason.HEAD_LOST)),
    ),
    "its head is another one, and it ended well before": (
        run(workload=GOOD, reported=RUNNING, head_anew=True),
        CALM,
        ReportFinished(EndReason.SUCCEEDED, NOW - 5, explain(EndReason.SUCCEEDED)),
    ),
    "it ended well, a pod missing": (
        run(workload=GOOD, reported=RUNNING, short_s=CONTRACT.start_limit_s + 1),
        CALM,
        ReportFinished(EndReason.SUCCEEDED, NOW - 5, explain(EndReason.SUCCEEDED)),
    ),
    "being removed, held by a lost machine for not long enough": (
        ended(namespace="Terminating", machine_lost=True),
        Situation(NOW, held_up_s=CONTRACT.validity_s + DYING_S),
        None,
    ),
    "being removed, held by a lost machine beyond its pods' time": (
        ended(namespace="Terminating", machine_lost=True),
        Situation(NOW, held_up_s=CONTRACT.validity_s + DYING_S + 1),
        Release(EndReason.SUCCEEDED, OUTLIVED),
    ),
    "being removed, held by a lost machine, its pods told that they may live for longer": (
        ended(contract=STOP, noted=CONTRACT, namespace="Terminating", machine_lost=True),
        Situation(NOW, held_up_s=CONTRACT.validity_s + DYING_S),
        None,
    ),
    "being removed for long, held by something else": (
        ended(namespace="Terminating"),
        Situation(NOW, held_up_s=10 * CONTRACT.validity_s),
        None,
    ),
    "held by a lost machine, and released": (
        replace(TOLD_LOST, outlived=True),
        Situation(NOW, held_up_s=10 * CONTRACT.validity_s),
        None,
    ),
    "held by a lost machine, and released by an agent that is no more": (
        TOLD_LOST,
        Situation(NOW, held_up_s=CONTRACT.validity_s + DYING_S + 1),
        Outlive(),
    ),
    "so, and its pods may live yet": (
        TOLD_LOST,
        Situation(NOW, held_up_s=CONTRACT.validity_s + DYING_S),
        None,
    ),
    "removed, and released": (
        ended(namespace="Absent", reported=Reported(released=True)),
        CALM,
        None,
    ),
    "well": (
        run(workload=GOOD),
        CALM,
        ReportFinished(EndReason.SUCCEEDED, NOW - 5, explain(EndReason.SUCCEEDED)),
    ),
    "well and told": (run(workload=GOOD, reported=DONE), CALM, End(EndReason.SUCCEEDED)),
    "to be removed": (ended(), CALM, CleanUp()),
    "being removed": (ended(namespace="Terminating"), CALM, None),
    "removed": (ended(namespace="Absent"), CALM, Release(EndReason.SUCCEEDED)),
    "removed, odd reason": (
        ended("Whatever", namespace="Absent"),
        CALM,
        Release(EndReason.DELETED),
    ),
    "released": (ended(namespace="Absent", reported=Reported(released=True)), CALM, None),
    "cancelled": (run(workload=UP, cancelled=True), CALM, End(EndReason.CANCELLED)),
    "cancelled before made": (
        run(namespace="Absent", cancelled=True),
        CALM,
        End(EndReason.CANCELLED),
    ),
    "stopped": (run(workload=UP), Situation(NOW, stopped=True), End(EndReason.STOPPED)),
    "forbidden since it was accepted": (
        run(namespace="Absent", forbidden="UnknownHub: no"),
        CALM,
        End(EndReason.POLICY_CHANGED, "UnknownHub: no"),
    ),
    "forbidden before the hub heard that it is accepted": (
        run(reported=Reported(), namespace="Absent", forbidden="Paused: no"),
        CALM,
        End(EndReason.POLICY_CHANGED, "Paused: no"),
    ),
    "forbidden while it runs": (
        run(workload=UP, reported=RUNNING, forbidden="UnknownHub: no"),
        CALM,
        End(EndReason.POLICY_CHANGED, "UnknownHub: no"),
    ),
    "forbidden when it had ended": (
        run(workload=GOOD, reported=DONE, forbidden="UnknownHub: no"),
        CALM,
        End(EndReason.SUCCEEDED),
    ),
    "forbidden and stopped": (
        run(workload=UP, forbidden="Stopped: no"),
        Situation(NOW, stopped=True),
        End(EndReason.STOPPED),
    ),
    "forbidden and unattended": (
        run(workload=UP, forbidden="UnknownHub: no"),
        Situation(NOW, unattended_s=3585),
        End(EndReason.POLICY_CHANGED, "UnknownHub: no"),
    ),
    "unattended": (run(workload=UP), Situation(NOW, unattended_s=3585), End(EndReason.UNATTENDED)),
    "not yet unattended": (
        run(workload=UP, reported=RUNNING),
        Situation(NOW, unattended_s=3584),
        None,
    ),
    "unattended by contract": (
        run(contract=STOP, workload=UP),
        Situation(NOW, unattended_s=45),
        End(EndReason.UNATTENDED),
    ),
    "deleted by hand": (run(workload=None, reported=RUNNING), CALM, End(EndReason.DELETED)),
    "deleted by hand, and the hub has never heard of it": (
        run(workload=None, begun_s=NOW - 50),
        CALM,
        End(EndReason.DELETED),
    ),
    "being deleted by hand": (
        run(workload=UP, namespace="Terminating"),
        CALM,
        End(EndReason.DELETED),
    ),
    "a machine of it lost": (
        run(workload=SAYS_IT_RUNS, reported=RUNNING, machine_lost=True),
        CALM,
        ReportFinished(EndReason.MACHINE_LOST, NOW, explain(EndReason.MACHINE_LOST)),
    ),
    "a machine of it lost before it was up": (
        run(workload=NEW, machine_lost=True),
        CALM,
        ReportFinished(EndReason.MACHINE_LOST, NOW, explain(EndReason.MACHINE_LOST)),
    ),
    **{
        f"told as {why}, and its machine {'lost' if lost else 'back meanwhile'}": (
            run(workload=UP, reported=replace(DONE, reason=why), machine_lost=lost),
            CALM,
            End(EndReason(why)),
        )
        for why in ("MachineLost", "OutOfMemory", "Evicted", "ImageNotPulled")
        for lost in (True, False)
    },
    "up, and its grant deleted, so nothing was told": (run(workload=UP, reported=DONE), CALM, None),
    "a machine of it lost when it had ended": (
        run(workload=GOOD, reported=RUNNING, machine_lost=True),
        CALM,
        ReportFinished(EndReason.SUCCEEDED, NOW - 5, explain(EndReason.SUCCEEDED)),
    ),
    "a machine of it lost, and cancelled": (
        run(workload=UP, reported=RUNNING, machine_lost=True, cancelled=True),
        CALM,
        End(EndReason.CANCELLED),
    ),
    "a machine lost of what is not made yet": (
        run(namespace="Absent", machine_lost=True),
        CALM,
        Render(),
    ),
    "too long": (
        run(
            workload=WorkloadView(NOW - 9000, running=True, running_s=NOW - 7261), reported=RUNNING
        ),
        CALM,
        End(EndReason.DEADLINE_EXCEEDED),
    ),
    "had its time, and its last words are told first": (
        run(
            workload=replace(SAYS_IT_RUNS, created_s=NOW - 9000, running_s=NOW - 7201),
            reported=RUNNING,
        ),
        CALM,
        ReportFinished(EndReason.DEADLINE_EXCEEDED, NOW, explain(EndReason.DEADLINE_EXCEEDED)),
    ),
    "never up": (
        run(workload=WorkloadView(NOW - 901)),
        CALM,
        ReportFinished(EndReason.NEVER_STARTED, NOW, explain(EndReason.NEVER_STARTED)),
    ),
    "never up, and told why": (
        run(workload=WorkloadView(NOW - 901), reported=replace(DONE, reason="ImageNotPulled")),
        CALM,
        End(EndReason.IMAGE_NOT_PULLED),
    ),
    "never up, and nobody to tell": (
        run(workload=WorkloadView(NOW - 961), reported=TOLD),
        CALM,
        End(EndReason.NEVER_STARTED),
    ),
    "never up, and the hub away for too long": (
        run(workload=WorkloadView(NOW - 901)),
        Situation(NOW, unattended_s=3585),
        End(EndReason.UNATTENDED),
    ),
    "begun, and no worker since": (
        run(workload=WorkloadView(NOW - 7201, started=True)),
        CALM,
        None,
    ),
    "its head was killed, and its command begins anew": (
        run(workload=WorkloadView(NOW - 5000, running_s=NOW - 4900), reported=RUNNING),
        CALM,
        None,
    ),
    "its head was killed, and the hub has never heard of it": (
        run(workload=WorkloadView(NOW - 5000, running_s=NOW - 4900), begun_s=NOW - 4900),
        CALM,
        None,
    ),
    "up, and its command never begun": (
        run(workload=WorkloadView(NOW - 901, running_s=NOW - 800)),
        CALM,
        ReportFinished(EndReason.NEVER_STARTED, NOW, explain(EndReason.NEVER_STARTED)),
    ),
    "its head was killed, and it has had its time": (
        run(workload=WorkloadView(NOW - 7300, running_s=NOW - 7201), reported=RUNNING),
        CALM,
        ReportFinished(EndReason.DEADLINE_EXCEEDED, NOW, explain(EndReason.DEADLINE_EXCEEDED)),
    ),
    "not served": (
        run(workload=UP, reported=RUNNING, served=False),
        CALM,
        End(EndReason.NOT_SERVED),
    ),
    "not served, not made": (
        run(namespace="Absent", served=False),
        CALM,
        End(EndReason.NOT_SERVED),
    ),
    "failed": (
        run(workload=bad(EndReason.APP_FAILED)),
        CALM,
        ReportFinished(EndReason.APP_FAILED, NOW, explain(EndReason.APP_FAILED)),
    ),
    "failed, and said why": (
        run(workload=bad(EndReason.APP_FAILED, message="boom")),
        CALM,
        ReportFinished(EndReason.APP_FAILED, NOW, "boom"),
    ),
}
