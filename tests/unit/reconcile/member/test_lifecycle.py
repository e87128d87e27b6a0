"""The life of a run as a table, and as a machine that no order of events can lead astray."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.grants.epochs import Outcome
from hansa.reconcile.member.end_reasons import EndReason
from hansa.reconcile.member.lifecycle import (
    CleanUp,
    Release,
    Render,
    Reported,
    Run,
    Situation,
    next_action,
)
from tests.unit.reconcile.member.lifecycle_table import (
    CONTRACT,
    GOOD,
    NEW,
    NOW,
    RUNNING,
    STOP,
    TABLE,
    UP,
    bad,
    record,
    run,
)


@pytest.mark.parametrize("case", TABLE.values(), ids=TABLE.keys())
def test_next_action(case):
    observed, situation, action = case
    assert next_action(observed, situation) == action


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
    forbidden=st.sampled_from(("", "UnknownHub: no")),
    namespace=st.sampled_from(("Absent", "Active", "Terminating")),
    workload=st.sampled_from((None, NEW, UP, GOOD, bad(EndReason.APP_FAILED))),
)
WORLDS = st.builds(
    Situation, now_s=st.just(NOW), unattended_s=st.floats(0, 10_000), stopped=st.booleans()
)


@given(RUNS, WORLDS)
def test_an_ended_epoch_is_never_made_again_and_released_only_when_gone(observed, situation):
    action = next_action(observed, situation)
    if observed.record.outcome is not Outcome.ACCEPTED:
        assert not isinstance(action, Render)
    if isinstance(action, Release):
        assert observed.namespace == "Absent"
        assert observed.record.outcome is Outcome.ENDED
    if isinstance(action, CleanUp):
        assert observed.record.outcome is Outcome.ENDED
    if isinstance(action, Render):
        assert not situation.stopped
        assert not observed.cancelled
        assert not observed.forbidden


OVER = replace(UP, end=EndReason.SUCCEEDED)
UNTOLD = {
    "over at once": (run(workload=OVER), NOW - 50),
    "told before": (run(workload=OVER, reported=RUNNING), None),
    "never begun": (run(workload=replace(OVER, started=False)), None),
    "nothing there": (run(), None),
}


@pytest.mark.parametrize(("observed", "since_s"), UNTOLD.values(), ids=UNTOLD)
def test_since_when_a_run_ran_that_nobody_saw_running(observed, since_s):
    assert observed.untold_running_s == since_s
