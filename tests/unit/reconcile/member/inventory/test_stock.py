"""Machines to classes, shapes and stock; a Node object may say anything."""

from __future__ import annotations

import pytest

from hansa.reconcile.member.inventory.accelerators import gpu_class
from hansa.reconcile.member.inventory.machine import read_machine
from hansa.reconcile.member.inventory.stock import gpu_inventory, machine_shapes, take_stock
from tests.unit.grants.grant_kit import policy

LABELS = {
    "hansa.dev/jurisdiction": "EE",
    "kubernetes.io/arch": "amd64",
    "nvidia.com/gpu.product": "NVIDIA-GeForce-RTX-4090",
    "nvidia.com/gpu.memory": "24564",
}


def node(name="m", *, labels=None, gpus="4", ready="True", pressure="False", **spec):
    return {
        "metadata": {"name": name, "labels": LABELS | (labels or {})},
        "spec": spec,
        "status": {
            "allocatable": {"cpu": "16", "memory": "64Gi", "nvidia.com/gpu": gpus},
            "conditions": [
                {"type": "Ready", "status": ready},
                {"type": "DiskPressure", "status": pressure},
            ],
        },
    }


def stock_of(*nodes, law=None, held=None):
    return take_stock([read_machine(n) for n in nodes], policy(**(law or {})), held or {})


def test_stock_counts_what_is_lent():
    inventory = stock_of(node("a"), node("b"), held={"nvidia-rtx-4090": 3})
    [row] = gpu_inventory(inventory)
    assert (row.gpu_class, row.memory, row.total, row.allocated) == (
        "nvidia-rtx-4090",
        "24564Mi",
        8,
        3,
    )
    [shape] = machine_shapes(inventory)
    assert (shape.machines, shape.gpus, shape.cpu) == (2, 4, "16")
    assert inventory.choice("nvidia-rtx-4090").resource == "nvidia.com/gpu"
    assert inventory.jurisdictions() == ("EE",)


def test_lending_caps_the_stock():
    law = {"lending": [{"gpuClass": "nvidia-rtx-4090", "maxGpus": 3}]}
    assert stock_of(node(), law=law).stock["nvidia-rtx-4090"].lent == 3


LEFT_OUT = {
    "not ready": node(ready="False"),
    "cordoned": node(unschedulable=True),
    "tainted": node(taints=[{"key": "x", "effect": "NoSchedule"}]),
    "elsewhere": node(labels={"hansa.dev/jurisdiction": "LV"}),
    "nowhere": node(labels={"hansa.dev/jurisdiction": ""}),
    "looks alike": node(labels={"hansa.dev/jurisdiction": "EEX"}),
}


@pytest.mark.parametrize("machine", LEFT_OUT.values(), ids=LEFT_OUT.keys())
def test_left_out(machine):
    assert stock_of(machine).machines == ()


TAKEN = {
    "region": node(labels={"hansa.dev/jurisdiction": "EE-79"}),
    "GPU taint": node(taints=[{"key": "nvidia.com/gpu", "effect": "NoSchedule"}]),
    "mild taint": node(taints=[{"key": "x", "effect": "PreferNoSchedule"}]),
}


@pytest.mark.parametrize("machine", TAKEN.values(), ids=TAKEN.keys())
def test_taken(machine):
    assert len(stock_of(machine).machines) == 1


def test_full_disks_matter_when_no_machine_is_left():
    full = node("a", pressure="True")
    assert stock_of(full).full_disks == ("a",)
    assert stock_of(full, node("b")).full_disks == ()
    assert stock_of().full_disks == ()


def test_a_machine_without_gpus_is_a_shape_too():
    plain = node(gpus="0")
    [shape] = machine_shapes(stock_of(plain))
    assert (shape.gpu_class, shape.gpus, shape.gpu_memory) == ("", 0, None)
    assert stock_of(plain).stock == {}


def test_a_class_of_mixed_cards_is_as_small_as_its_smallest():
    """The member would refuse more, so it must not announce more."""
    mixed = stock_of(node("a"), node("b", labels={"nvidia.com/gpu.memory": "12282"}))

    assert {shape.gpu_memory for shape in machine_shapes(mixed)} == {"12282Mi"}
    assert {row.memory for row in gpu_inventory(mixed)} == {"12282Mi"}


def test_memory_that_is_not_known_is_not_told_as_none():
    bare = node(labels={"nvidia.com/gpu.memory": "-"})
    [row], [shape] = gpu_inventory(stock_of(bare)), machine_shapes(stock_of(bare))
    assert (row.total, shape.gpus) == (4, 4)
    assert (row.memory, shape.gpu_memory) == (None, None)


def test_garbage_is_absent():
    odd = node(gpus="many", labels={"nvidia.com/gpu.memory": "-"})
    odd["status"]["allocatable"]["cpu"] = "lots"
    machine = read_machine(odd)
    assert (machine.cards, machine.cpu) == ((), "0")
    assert not read_machine({"metadata": {"name": "x"}}).usable


CLASSES = {
    "NVIDIA-GeForce-RTX-4090": "nvidia-rtx-4090",
    "NVIDIA L40S": "nvidia-l40s",
    "Tesla-T4": "nvidia-tesla-t4",
    "NVIDIA-A100-SXM4-80GB": "nvidia-a100-sxm4-80gb",
}


@pytest.mark.parametrize(("product", "name"), CLASSES.items())
def test_gpu_class(product, name):
    assert gpu_class(product) == name


WHERE = "hansa.dev/jurisdiction"
ELSEWHERE = f"{WHERE}={{}} is not in EE, the policy's jurisdiction: it is not lent"
NOWHERE = f"no label {WHERE} says where it stands: it is not lent"
# Places of two machines; what is told of each.
PLACES = {
    "both at home": (("EE", "EE-37"), ("", "")),
    "one is kept from the league": (("EE", ""), ("", "")),
    "nobody has labelled any": (("", ""), (NOWHERE, NOWHERE)),
    "one in small letters": (("EE", "ee"), ("", ELSEWHERE.format("ee"))),
    "one in another country": (("EE", "LV"), ("", ELSEWHERE.format("LV"))),
    "one abroad, the other without a label": (("LV", ""), (ELSEWHERE.format("LV"), NOWHERE)),
}


@pytest.mark.parametrize("case", PLACES)
def test_a_machine_that_is_not_lent_for_where_it_stands_is_named(case):
    places, told = PLACES[case]
    found = stock_of(*(node(f"m{n}", labels={WHERE: place}) for n, place in enumerate(places)))
    assert set(found.troubles) == {f"m{n}: {text}" for n, text in enumerate(told) if text}
