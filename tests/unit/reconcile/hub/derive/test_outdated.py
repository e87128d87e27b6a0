"""What the hub does where it knows less than the members: after a restore, and when an AIJob is gone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.model.plan import Placement
from hansa.reconcile.hub.actions import CancelOrphan, DeleteOrphan, WriteGrant
from hansa.reconcile.hub.derive import derive, derive_orphan
from tests.unit.reconcile.hub.hub_objects import (
    ACCEPTED,
    NOW_S,
    REFUSED,
    SKEW_S,
    UID,
    case,
    condition,
    epoch,
    grant_manifest,
    job_view,
)

PLACED = {"node": "tartu", "epoch": 1}
PLACE = Placement(UID, "tartu", 2, 0)
STALE = {"conditions": [condition("Accepted", "False", "StaleEpoch")], "highestEpoch": 7}


def test_a_hub_with_an_old_memory_waits_and_then_goes_beyond():
    """Restored from a backup: epoch 7 may live at the member, so the job keeps its node."""
    held = case(job_view(PLACED), epoch(grant_manifest(status=STALE)), decision=PLACE)
    (wait,) = derive(held)
    (go_on,) = derive(case(job_view(PLACED), epoch(grant_manifest(status=STALE), released=True)))
    place, write, _ = derive(case(job_view(go_on.status), decision=PLACE))

    assert wait.status["node"] == "tartu"
    assert "node" not in go_on.status
    assert (place.status["epoch"], write.epoch) == (8, 8)


def test_no_member_can_use_the_epochs_up():
    greedy = STALE | {"highestEpoch": 2**53}
    (go_on,) = derive(case(job_view(PLACED), epoch(grant_manifest(status=greedy), released=True)))

    assert go_on.status["epoch"] == 1


@given(st.floats(0, 1e7), st.floats(0, 1e7), st.integers(0, 50))
def test_an_outdated_hub_never_lets_go_before_release_or_time(after_s, silent_s, highest):
    now_s = NOW_S + after_s
    wire = grant_manifest(status=STALE | {"highestEpoch": highest})
    seen = epoch(wire, lease_s=now_s - silent_s, now_s=now_s)
    actions = derive(case(job_view(PLACED), seen, decision=PLACE, now_s=now_s))

    assert not [action for action in actions if isinstance(action, WriteGrant)]
    contact_s = max(now_s - silent_s, NOW_S)
    if now_s <= contact_s + 3600 + SKEW_S:
        assert {action.status.get("node") for action in actions} == {"tartu"}


ORPHANS = {
    "living": (epoch(grant_manifest(status=ACCEPTED)), [CancelOrphan]),
    "being stopped": (epoch(grant_manifest(status=ACCEPTED, cancel="Stop")), []),
    "released": (epoch(grant_manifest(status=ACCEPTED), released=True), [DeleteOrphan]),
    "refused": (epoch(grant_manifest(status=REFUSED)), [DeleteOrphan]),
}


@pytest.mark.parametrize("name", ORPHANS)
def test_orphans(name):
    given, expected = ORPHANS[name]

    assert [type(action) for action in derive_orphan(given)] == expected
