"""For whom a job was stopped, as the planner is told it: also by a leader that was not there."""

from __future__ import annotations

import pytest

from hansa.model.snapshot import Yielded
from hansa.model.times import rfc3339
from tests.unit.reconcile.hub.hub_objects import NOW_S, job_view
from tests.unit.reconcile.hub.snapshot.planned_jobs import epoch, planned

AT = rfc3339(NOW_S)
ROW = {"node": "tartu", "epoch": 1, "inFavourOf": "lab", "gainingUid": "x", "at": AT}
RECORDS = {
    "never": ((), None),
    "once": ((ROW,), Yielded("x", "tartu", int(NOW_S))),
    "the last time counts": ((ROW, ROW | {"gainingUid": "y"}), Yielded("y", "tartu", int(NOW_S))),
    "by a hub that did not say for whom": ((ROW | {"gainingUid": ""},), None),
    "by a hub of before": (({k: v for k, v in ROW.items() if k != "gainingUid"},), None),
    "at no time": ((ROW | {"at": "then"},), None),
}


@pytest.mark.parametrize("case", RECORDS)
@pytest.mark.parametrize("epochs", [(), (epoch(),)], ids=["waits", "runs"])
def test_for_whom_a_job_was_stopped_last(case, epochs):
    rows, expected = RECORDS[case]

    assert planned(job_view({"preemptions": list(rows)}), *epochs).yielded == expected
