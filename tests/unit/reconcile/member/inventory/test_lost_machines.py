"""A machine is lost when it is not Ready for too long, or is no more; with none Ready nothing is known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.reconcile.member.inventory.lost_machines import (
    KEPT_S,
    LostMachines,
    is_ready,
    machines_of,
)

LIMIT_S = 120.0


def after(*events):
    """What is known after events: name, time, and Ready, not Ready or removed."""
    found = LostMachines()
    for name, at_s, said in events:
        if said == "removed":
            found.removed(name, at_s)
        elif said == "back":
            found.back(name, at_s)
        elif said == "answered":
            found.answered(at_s)
        else:
            found.seen(name, at_s, ready=said == "Ready")
    return found


A_READY = ("a", 0.0, "Ready")
LOST = {
    "all are there": ([A_READY, ("b", 0, "Ready")], 500, set()),
    "away, not for long": ([A_READY, ("b", 0, "NotReady")], 119, set()),
    "away for long": ([A_READY, ("b", 0, "NotReady")], 120, {"b"}),
    "said again and again": (
        [A_READY, *(("b", at_s, "NotReady") for at_s in range(0, 120, 20))],
        120,
        {"b"},
    ),
    "read as Ready, where its last word is that it is not": (
        [A_READY, ("b", 0, "NotReady"), ("b", 10, "back")],
        129,
        set(),
    ),
    "back": ([A_READY, ("b", 0, "NotReady"), ("b", 119, "Ready")], 500, set()),
    "back, and away anew": (
        [A_READY, ("b", 0, "NotReady"), ("b", 100, "Ready"), ("b", 110, "NotReady")],
        229,
        set(),
    ),
    "taken out": ([A_READY, ("b", 0, "Ready"), ("b", 10, "removed")], 10, {"b"}),
    "taken out while away": ([A_READY, ("b", 0, "NotReady"), ("b", 10, "removed")], 10, {"b"}),
    "taken out and put in again": ([A_READY, ("b", 10, "removed"), ("b", 20, "Ready")], 500, set()),
    "taken out long ago": (
        [A_READY, ("b", 0, "removed"), ("c", KEPT_S, "removed")],
        KEPT_S,
        {"c"},
    ),
    "away for long, looked at all the time": (
        [A_READY, ("b", 0, "NotReady"), *(("", at_s, "answered") for at_s in range(5, 120, 5))],
        120,
        {"b"},
    ),
    "nobody answered for a while: what was said before is no longer known": (
        [A_READY, ("b", 0, "NotReady"), ("", 5, "answered"), ("", 115, "answered")],
        234,
        set(),
    ),
    "nobody answered for a while, and two minutes since": (
        [A_READY, ("b", 0, "NotReady"), ("", 5, "answered"), ("", 115, "answered")],
        235,
        {"b"},
    ),
    "nobody answered for a while, and its Node is the first that is heard of": (
        [A_READY, ("b", 0, "NotReady"), ("", 5, "answered"), ("b", 115, "NotReady")],
        234,
        set(),
    ),
    "nothing was asked while all were there": (
        [A_READY, ("b", 0, "Ready"), ("b", 900, "NotReady"), ("", 902, "answered")],
        1022,
        {"b"},
    ),
    "none is Ready: what tells of them is at fault": (
        [("a", 0, "NotReady"), ("b", 0, "NotReady")],
        500,
        set(),
    ),
    "none is Ready, and one is taken out": (
        [("a", 0, "NotReady"), ("b", 0, "removed")],
        500,
        {"b"},
    ),
}


@pytest.mark.parametrize("case", LOST)
def test_lost(case):
    events, now_s, lost = LOST[case]
    assert after(*events).lost(now_s, LIMIT_S) == lost


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abc"),
            st.integers(0, 1000),
            st.sampled_from(("Ready", "NotReady", "removed")),
        ),
        max_size=20,
    ),
    st.integers(0, 1000),
)
def test_what_said_last_that_it_is_ready_is_never_lost(events, later_s):
    events = sorted(events, key=lambda event: event[1])
    found = after(*events)
    last = {name: said for name, _, said in events}
    lost = found.lost(1000 + later_s, LIMIT_S)
    assert not lost & {name for name, said in last.items() if said == "Ready"}
    assert lost <= found.away


SAID = {
    "Ready": ({"conditions": [{"type": "Ready", "status": "True"}]}, True),
    "its kubelet says no": ({"conditions": [{"type": "Ready", "status": "False"}]}, False),
    "not heard of": ({"conditions": [{"type": "Ready", "status": "Unknown"}]}, False),
    "something else holds": ({"conditions": [{"type": "DiskPressure", "status": "True"}]}, False),
    "nothing said": ({}, False),
    "conditions that are none": ({"conditions": None}, False),
}


@pytest.mark.parametrize("case", SAID)
def test_what_a_node_says(case):
    status, ready = SAID[case]
    assert is_ready({"metadata": {"name": "a"}, "status": status}) is ready


def test_pods_that_have_ended_need_their_machine_no_more():
    def pod(machine, **status):
        return {"spec": {"nodeName": machine} if machine else {}, "status": status}

    pods = [
        pod("a", phase="Running"),
        pod("b", phase="Succeeded"),
        pod("c", phase="Failed"),
        pod("d", phase="Pending"),
        pod("", phase="Pending"),
        {"metadata": {"name": "odd"}},
    ]
    assert machines_of(pods) == {"a", "d"}
