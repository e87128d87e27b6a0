"""The life of a run as a table, and as a machine that no order of events can lead astray."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.grants.epochs import EpochRecord, Outcome
from hansa.reconcile.member.contract import Contract
from hansa.reconcile.member.lifecycle import (
    CleanUp,
    End,
    EndReason,
    RayView,
    Refuse,
    Release,
    Render,
    ReportAccepted,
    Reported,
    ReportFinished,
    ReportRunning,
    Run,
    World,
    explain,
    next_action,
)

NOW = 1_000_000.0
CONTRACT = Contract(unattended_limit_s=3585, max_runtime_s=7200, granted_s=NOW - 10_000)
STOP = Contract(unattended_limit_s=45, max_runtime_s=86_400, granted_s=NOW - 10_000)
TOLD = Reported(accepted=True)
RUNNING = Reported(accepted=True, rendered=True, running=True)
DONE = Reported(accepted=True, rendered=True, running=True, finished=True)
NEW = RayView(created_s=NOW)
UP = RayView(created_s=NOW - 100, deployment="Running", workers_up=1, running_s=NOW - 50)
GOOD = RayView(created_s=NOW - 100, deployment="Complete", outcome="SUCCEEDED", ended_s=NOW - 5)


def record(outcome=Outcome.ACCEPTED, reason="-"):
    return EpochRecord(1, "d", outcome, 0, reason)


def run(**changes):
    return Run(
        **{"contract": CONTRACT, "record": record(), "reported": TOLD, "namespace": "Active"}
        | changes
    )


def ended(reason="Succeeded", **changes):
    return run(record=record(Outcome.ENDED, reason), **changes)


def bad(reason, deployment="Failed"):
    return RayView(created_s=NOW, deployment=deployment, outcome="FAILED", reason=reason)


WORLD = World(now_s=NOW)
TABLE = {
    "refusal untold": (
        run(record=record(Outcome.REFUSED, "Paused"), reported=Reported()),
        WORLD,
        Refuse("Paused"),
    ),
    "refusal told": (
        run(record=record(Outcome.REFUSED), reported=Reported(accepted=False)),
        WORLD,
        None,
    ),
    "acceptance untold": (run(reported=Reported(), namespace="Absent"), WORLD, ReportAccepted()),
    "to be made": (run(namespace="Absent"), WORLD, Render()),
    "half made": (run(), WORLD, Render()),
    "made": (run(rayjob=NEW), WORLD, None),
    "up": (run(rayjob=UP), WORLD, ReportRunning(NOW - 50)),
    "up, no time known": (run(rayjob=RayView(NOW, workers_up=1)), WORLD, ReportRunning(NOW)),
    "up and told": (run(rayjob=UP, reported=RUNNING), WORLD, None),
    "well": (
        run(rayjob=GOOD),
        WORLD,
        ReportFinished(EndReason.SUCCEEDED, NOW - 5, explain(EndReason.SUCCEEDED)),
    ),
    "well and told": (run(rayjob=GOOD, reported=DONE), WORLD, End(EndReason.SUCCEEDED)),
    "to be removed": (ended(), WORLD, CleanUp()),
    "being removed": (ended(namespace="Terminating"), WORLD, None),
    "removed": (ended(namespace="Absent"), WORLD, Release(EndReason.SUCCEEDED)),
    "removed, odd reason": (
        ended("Whatever", namespace="Absent"),
        WORLD,
        Release(EndReason.DELETED),
    ),
    "released": (ended(namespace="Absent", reported=Reported(released=True)), WORLD, None),
    "cancelled": (run(rayjob=UP, cancelled=True), WORLD, End(EndReason.CANCELLED)),
    "cancelled before made": (
        run(namespace="Absent", cancelled=True),
        WORLD,
        End(EndReason.CANCELLED),
    ),
    "stopped": (run(rayjob=UP), World(NOW, stopped=True), End(EndReason.STOPPED)),
    "unattended": (run(rayjob=UP), World(NOW, unattended_s=3585), End(EndReason.UNATTENDED)),
    "not yet unattended": (run(rayjob=UP, reported=RUNNING), World(NOW, unattended_s=3584), None),
    "unattended by contract": (
        run(contract=STOP, rayjob=UP),
        World(NOW, unattended_s=45),
        End(EndReason.UNATTENDED),
    ),
    "deleted by hand": (run(rayjob=None, reported=RUNNING), WORLD, End(EndReason.DELETED)),
    "being deleted by hand": (
        run(rayjob=UP, namespace="Terminating"),
        WORLD,
        End(EndReason.DELETED),
    ),
    "too long": (
        run(rayjob=RayView(NOW - 9000, "Running", running_s=NOW - 7261), reported=RUNNING),
        WORLD,
        End(EndReason.DEADLINE_EXCEEDED),
    ),
    "never up": (
        run(rayjob=RayView(NOW - 7201, "Initializing")),
        WORLD,
        End(EndReason.NEVER_STARTED),
    ),
    "driver failed": (
        run(rayjob=bad("AppFailed")),
        WORLD,
        ReportFinished(EndReason.APP_FAILED, NOW, explain(EndReason.APP_FAILED)),
    ),
    "failed, reason unknown": (
        run(rayjob=bad("Other")),
        WORLD,
        ReportFinished(EndReason.APP_FAILED, NOW, explain(EndReason.APP_FAILED)),
    ),
    "deadline": (
        run(rayjob=bad("DeadlineExceeded")),
        WORLD,
        ReportFinished(EndReason.DEADLINE_EXCEEDED, NOW, explain(EndReason.DEADLINE_EXCEEDED)),
    ),
    "complete but failed": (
        run(rayjob=RayView(NOW, "Complete", "FAILED", message="boom")),
        WORLD,
        ReportFinished(EndReason.APP_FAILED, NOW, "boom"),
    ),
    "refused by KubeRay": (
        run(rayjob=bad("", "ValidationFailed")),
        WORLD,
        ReportFinished(EndReason.VALIDATION_FAILED, NOW, explain(EndReason.VALIDATION_FAILED)),
    ),
}


@pytest.mark.parametrize("case", TABLE.values(), ids=TABLE.keys())
def test_next_action(case):
    observed, world, action = case
    assert next_action(observed, world) == action


def test_verdicts():
    assert EndReason.SUCCEEDED.verdict == "Succeeded"
    assert EndReason.UNATTENDED.verdict == "Interrupted"
    assert EndReason.APP_FAILED.verdict == "Failed"


RUNS = st.builds(
    Run,
    contract=st.sampled_from((CONTRACT, STOP)),
    record=st.builds(record, st.sampled_from(Outcome), st.sampled_from(EndReason)),
    reported=st.builds(
        Reported,
        accepted=st.sampled_from((None, True, False)),
        rendered=st.booleans(),
        running=st.booleans(),
        finished=st.booleans(),
        released=st.booleans(),
    ),
    cancelled=st.booleans(),
    namespace=st.sampled_from(("Absent", "Active", "Terminating")),
    rayjob=st.sampled_from((None, NEW, UP, GOOD, bad("AppFailed"))),
)
WORLDS = st.builds(
    World, now_s=st.just(NOW), unattended_s=st.floats(0, 10_000), stopped=st.booleans()
)


@given(RUNS, WORLDS)
def test_an_ended_epoch_is_never_made_again_and_released_only_when_gone(observed, world):
    action = next_action(observed, world)
    if observed.record.outcome is not Outcome.ACCEPTED:
        assert not isinstance(action, Render)
    if isinstance(action, Release):
        assert observed.namespace == "Absent"
        assert observed.record.outcome is Outcome.ENDED
    if isinstance(action, CleanUp):
        assert observed.record.outcome is Outcome.ENDED
    if isinstance(action, Render):
        assert not world.stopped
        assert not observed.cancelled
