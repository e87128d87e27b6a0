"""What may be told of pods that died: bounded, without machines and addresses, and only where the log's end may be."""

from __future__ import annotations

from typing import Any

import pytest

from hansa.api.job.post_mortem import EVENT_BYTES, POD_LOG_BYTES, PodEnd
from hansa.reconcile.member.post_mortem import post_mortem
from hansa.reconcile.member.workload import DeadPod, PodEvent
from tests.unit.grants.grant_kit import NOW_S
from tests.unit.reconcile.member.leaving import may

DEAD = DeadPod("run-head-x", "Head", "OOMKilled", 137, 2, NOW_S, "ray-head")
MACHINES = frozenset({"gpu-1", "gpu-17", "a"})


@pytest.mark.parametrize(("rule", "told"), [("Allow", 1), ("Tail", 1), ("Deny", 0)])
def test_it_goes_by_the_rule_about_logs(rule, told):
    assert len(post_mortem([(DEAD, "boom")], MACHINES, may(logs=rule))) == told


def test_a_row():
    [row] = post_mortem([(DEAD, "one\nboom\n")], (), may(logs="Tail"))

    assert row == {
        "role": "Head",
        "reason": "OOMKilled",
        "exitCode": 137,
        "restarts": 2,
        "at": "2027-01-15T08:00:00Z",
        "logTail": "one\nboom",
    }


# What the cluster says; what is told of it.
EVENTS: dict[str, tuple[PodEvent, str]] = {
    "plain": (PodEvent("BackOff", "restarting failed container"), "BackOff: restarting failed"),
    "often": (PodEvent("BackOff", "again", 7), "BackOff (7 times): again"),
    "a machine": (
        PodEvent("Failed", "on gpu-17, not on gpu-1 or gpu-170"),
        "Failed: on (a machine), not on (a machine) or gpu-170",
    ),
    "a machine with a name of one letter": (PodEvent("X", "a bad day"), "X: (a machine) bad day"),
    "addresses": (
        PodEvent("Unhealthy", "dial 10.244.1.7:8000 and [fd00::12:0:7]:8000"),
        "Unhealthy: dial (an address):8000 and [(an address)]:8000",
    ),
    "no address": (PodEvent("Failed", "image a:1.2.3 at 08:15:00"), "Failed: image a:1.2.3 at 08:15"),
    "several lines": (PodEvent("Failed", "one\n\x1b[31mtwo"), "Failed: one [31mtwo"),
}  # fmt: skip


@pytest.mark.parametrize("case", EVENTS)
def test_a_warning_is_one_short_line_without_machines_and_addresses(case):
    event, expected = EVENTS[case]
    dead = DeadPod("p", "Worker", "Gone", events=(event,))
    machines = MACHINES if "machine" in case else MACHINES - {"a"}

    [row] = post_mortem([(dead, "")], machines, may(logs="Allow"))

    assert row["events"][0].startswith(expected)


HOSTILE: dict[str, Any] = {
    "long words": DeadPod("p", "Head", "r" * 999, events=(PodEvent("R" * 999, "õ" * 9999, 3),) * 4),
    "numbers": DeadPod("p", "Head", "Error", exit_code=-(2**31), restarts=10**12),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_every_row_is_one_that_the_hub_takes(case):
    [row] = post_mortem([(HOSTILE[case], "õ" * 999 + "\n" + "x\n" * 9999)], (), may(logs="Allow"))

    read = PodEnd.model_validate(row)

    assert len(read.log_tail.encode()) <= POD_LOG_BYTES
    assert all(len(event.encode()) <= EVENT_BYTES for event in read.events)
