"""What others hold: the scheduler's own sum, of everybody's pods but runs."""

from __future__ import annotations

import pytest

from hansa.reconcile.member.inventory.machine import beside, read_machine
from hansa.reconcile.member.inventory.requests import held_by_others, requests
from hansa.reconcile.member.inventory.stock import machine_shapes, take_stock
from tests.unit.grants.grant_kit import policy
from tests.unit.reconcile.member.inventory.node_objects import GPUS, gfd, node


def box(cpu="0", memory="0", **more):
    return {"resources": {"requests": {"cpu": cpu, "memory": memory}}} | more


def pod(*containers, namespace="default", phase="Running", labels=None, status=None, **spec):
    return {
        "metadata": {"name": "p", "namespace": namespace, "labels": labels or {}},
        "spec": {"containers": list(containers)} | spec,
        "status": {"phase": phase} | (status or {}),
    }


def resized(to="1", allocated="", why="", kind="containerStatuses"):
    """A container ``c`` that has ``to``; ``allocated``: what its kubelet keeps; ``why``: a resize waits."""
    one = {"name": "c", "resources": {"requests": {"cpu": to}}}
    one |= {"allocatedResources": {"cpu": allocated}} if allocated else {}
    waits = {"type": "PodResizePending", "status": "True", "reason": why}
    return {kind: [one], "conditions": [waits] if why else []}


GPU_BOX = {"resources": {"requests": {"nvidia.com/gpu": "2"}}}
SUMS = {
    "containers together": (pod(box("1", "1Gi"), box("500m", "1Gi")), 1500),
    "a large init container": (pod(box("1"), initContainers=[box("3"), box("2")]), 3000),
    "a sidecar and an init container after it": (
        pod(box("1"), initContainers=[box("1", restartPolicy="Always"), box("3")]),
        4000,
    ),
    "a sidecar beside": (pod(box("1"), initContainers=[box("1", restartPolicy="Always")]), 2000),
    "asked for as a whole": (pod(box("1"), resources={"requests": {"cpu": "4"}}), 4000),
    "overhead": (pod(box("1"), overhead={"cpu": "250m"}), 1250),
    "no number": (pod(box("lots")), 0),
    "made smaller, and not yet": (pod(box("1", name="c"), status=resized("4")), 4000),
    "made smaller, and its kubelet keeps more": (
        pod(box("1", name="c"), status=resized("1", allocated="3")),
        3000,
    ),
    "made larger, and not yet": (
        pod(box("4", name="c"), status=resized("1", why="Deferred")),
        4000,
    ),
    "made larger than its machine": (
        pod(box("400", name="c"), status=resized("1", "2", why="Infeasible")),
        2000,
    ),
    "a sidecar made smaller, and not yet": (
        pod(
            box("1"),
            initContainers=[box("1", name="c", restartPolicy="Always")],
            status=resized("4", kind="initContainerStatuses"),
        ),
        5000,
    ),
    "a pod as a whole made smaller, and not yet": (
        pod(
            box("1", name="c"),
            resources={"requests": {"cpu": "2"}},
            status={"resources": {"requests": {"cpu": "6"}}, "allocatedResources": {"cpu": "5"}},
        ),
        6000,
    ),
}


def test_a_resize_that_can_never_be_takes_no_card_from_what_a_pod_holds():
    """A status may tell of processor and memory alone: nothing else can be resized."""
    asked = {"name": "c", "resources": {"requests": {"cpu": "400", "nvidia.com/gpu": "2"}}}
    held = requests(pod(asked, status=resized("1", "2", why="Infeasible")))
    assert (held["cpu"], held["nvidia.com/gpu"]) == (2000, 2000)


@pytest.mark.parametrize("name", SUMS)
def test_what_the_scheduler_counts(name):
    thing, cpu = SUMS[name]
    assert requests(thing)["cpu"] == cpu


RUN = "aij-0f8c2f4e7c1c4f7b9d9a5d2f1e8a7b60-e1"
MARK = {"hansa.dev/job-uid": "u"}
COUNTED = {
    "somebody's": (pod(GPU_BOX), True),
    "pending there": (pod(GPU_BOX, phase="Pending"), True),
    "a run's": (pod(GPU_BOX, namespace=RUN, labels=MARK), False),
    "one that only says so": (pod(GPU_BOX, labels=MARK), True),
    "one that has ended": (pod(GPU_BOX, phase="Succeeded"), False),
    "one that failed": (pod(GPU_BOX, phase="Failed"), False),
}


@pytest.mark.parametrize("name", COUNTED)
def test_who_counts(name):
    thing, counts = COUNTED[name]
    held = held_by_others([thing])
    assert held["nvidia.com/gpu"] == (2000 if counts else 0)
    assert held["pods"] == (1000 if counts else 0)


def stock(*pods):
    machine = read_machine(node(gfd("NVIDIA-L40S", "46068", 8), GPUS[8]))
    return take_stock([machine], policy(), {}, {"m": held_by_others(pods)})


def test_eight_gpus_that_others_use_are_not_free():
    all_used = stock(*[pod(GPU_BOX)] * 4)
    assert all_used.stock["nvidia-l40s"].lent == 0
    assert [s.gpus for s in machine_shapes(all_used)] == [0]
    assert stock(pod(GPU_BOX)).stock["nvidia-l40s"].lent == 6


def test_daemons_take_part_of_every_machine():
    [shape] = machine_shapes(stock(pod(box("300m", "700Mi")), pod(box("1", "2Gi"))))
    assert (shape.cpu, shape.memory) == ("62500m", "509Gi")


def test_a_machine_that_is_full_of_pods_takes_no_run():
    machine = read_machine(node())
    assert beside(machine, held_by_others([pod()] * 107)).usable
    full = beside(machine, held_by_others([pod()] * 108))
    assert "no room for a run's" in full.barred
