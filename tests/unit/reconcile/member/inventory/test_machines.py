"""Node objects as platforms make them: what each is, what people are told, and what pods ask for."""

from __future__ import annotations

from pathlib import Path

import pytest

from hansa.grants.facts import GpuStock
from hansa.reconcile.member.inventory.accelerators import Accelerator
from hansa.reconcile.member.inventory.machine import MachineRules, read_machine
from hansa.reconcile.member.inventory.stock import machine_shapes, named, take_stock
from hansa.reconcile.member.inventory.taints import Toleration
from tests.unit.grants.grant_kit import policy
from tests.unit.reconcile.member.inventory.node_objects import (
    GPUS,
    SLICE,
    gfd,
    gke,
    mig,
    node,
)
from tests.unit.reconcile.member.inventory.table import CASES, PAGE, page
from tests.unit.reconcile.member.inventory.unusual_nodes import AMD

ROOT = Path(__file__).parents[5]


def stock_of(*nodes, rules=None):
    return take_stock([read_machine(n, rules) for n in nodes], policy(), {})


def another(name, thing):
    return thing | {"metadata": thing["metadata"] | {"name": name}}


@pytest.mark.parametrize("name", CASES)
def test_what_a_machine_is(name):
    case = CASES[name]
    machine = read_machine(case.node)
    found = {c.gpu_class: (c.count, c.memory_bytes >> 20) for c in machine.cards}
    assert found == case.classes
    assert {c.gpu_class for c in machine.cards if c.is_slice} == case.slices
    assert machine.usable is case.usable
    told = stock_of(case.node).troubles
    assert told == ((f"m: {case.says}",) if case.says else ())


def test_there_are_as_many_as_promised():
    assert len(CASES) >= 25


def test_the_page_is_up_to_date():
    assert (ROOT / "docs/reference" / PAGE).read_text(encoding="utf-8") == page()


@pytest.mark.parametrize("name", [n for n, case in CASES.items() if case.slices and case.usable])
def test_no_worker_can_be_given_two_slices(name):
    """The hub sees each slice in a machine of its own, and all of them in no more than there is."""
    from hansa.model.quantities import millis, units  # noqa: PLC0415

    shapes = machine_shapes(stock_of(CASES[name].node))
    assert all(s.gpus == 1 for s in shapes if s.gpu_class in CASES[name].slices)
    for name_, (count, _) in CASES[name].classes.items():
        assert sum(s.machines * s.gpus for s in shapes if s.gpu_class == name_) == count
    assert sum(s.machines * millis(s.cpu) for s in shapes) <= 64_000
    assert sum(s.machines * units(s.memory) for s in shapes) <= 512 << 30


WAYS = {
    "whole": (
        [node(gfd("NVIDIA-L40S", "46068", 4), GPUS[4])],
        "nvidia-l40s",
        "nvidia.com/gpu",
        [
            ("nvidia.com/gpu.product", "In", ["NVIDIA-L40S"]),
            ("nvidia.com/gpu.memory", "In", ["46068"]),
        ],
    ),
    "a slice": (
        [node(mig("1g.10gb", "9728", 4), {"nvidia.com/mig-1g.10gb": "4"})],
        SLICE,
        "nvidia.com/mig-1g.10gb",
        [
            ("nvidia.com/mig-1g.10gb.product", "In", ["NVIDIA-A100-SXM4-80GB-MIG-1g.10gb"]),
            ("nvidia.com/mig-1g.10gb.memory", "In", ["9728"]),
        ],
    ),
    "whole cards on GKE, beside shared ones of the same label": (
        [
            node(gke("nvidia-tesla-t4"), GPUS[1]),
            another("n", CASES["T4 on GKE, time-sharing"].node),
        ],
        "nvidia-tesla-t4",
        "nvidia.com/gpu",
        [
            ("cloud.google.com/gke-accelerator", "In", ["nvidia-tesla-t4"]),
            ("cloud.google.com/gke-gpu-sharing-strategy", "DoesNotExist", None),
            ("cloud.google.com/gke-gpu-partition-size", "DoesNotExist", None),
        ],
    ),
}


@pytest.mark.parametrize("name", WAYS)
def test_how_pods_ask_for_a_class(name):
    nodes, gpu_class, resource, marks = WAYS[name]
    choice = stock_of(*nodes).choice(gpu_class)
    assert choice.resource == resource
    assert [(e["key"], e["operator"], e.get("values")) for e in choice.expressions()] == marks


def test_a_card_of_unknown_memory_is_not_lent_beside_known_ones_of_its_class():
    known = node(gfd("NVIDIA-L40S", "46068", 4), GPUS[4])
    unknown = another("n", node(gfd("NVIDIA-L40S", "", 8), GPUS[8]))
    inventory = stock_of(known, unknown)
    assert (inventory.stock["nvidia-l40s"].lent, inventory.stock["nvidia-l40s"].memory_bytes) == (
        4,
        46068 << 20,
    )
    assert [m.gpus for m in machine_shapes(inventory)] == [0, 4]
    assert any(text.startswith("n: its nvidia-l40s is told unlike") for text in inventory.troubles)


def test_whole_cards_are_not_lent_where_the_same_labels_tell_of_shares():
    """A job for a whole card could be given a tenth of one: the scheduler sees one resource and one label."""
    shared = CASES["HAMi: ten times each of two cards"].node
    whole = another("n", node(gfd("NVIDIA-A100-PCIE-40GB", "40960", 4), GPUS[4]))
    inventory = stock_of(shared, whole)
    assert set(inventory.stock) == {"nvidia-a100-pcie-40gb-shared"}
    assert any(
        text.startswith("n: its nvidia-a100-pcie-40gb is not lent") for text in inventory.troubles
    )


def test_cards_that_one_affinity_cannot_ask_for_are_not_counted_together():
    """Where some machines have a label of sharing and others do not, no ``In`` chooses both."""
    told = node(gke("nvidia-l4", gpu_sharing_strategy="none"), GPUS[4])
    untold = another("n", node(gke("nvidia-l4"), GPUS[1]))
    inventory = stock_of(told, untold)
    assert inventory.stock["nvidia-l4"].lent == 4
    assert any(text.startswith("n: its nvidia-l4 is told unlike") for text in inventory.troubles)


SIZES = {
    "an exponent": ("1e2", "5e11", "100000m", "476837Mi"),
    "thousandths": ("63770m", "540431953920m", "63770m", "540431953920m"),
    "petabytes": ("64", "0.5Pi", "64", "536870912Mi"),
    "beyond all machines": ("1e9", "9E", "0", "0"),
    "less than nothing": ("-3", "-5Gi", "0", "0"),
}


@pytest.mark.parametrize("name", SIZES)
def test_the_hub_is_sent_sizes_that_it_takes(name):
    """One Node must not keep the whole member from publishing what it lends."""
    cpu, memory, *right = SIZES[name]
    inventory = stock_of(node(cpu=cpu, memory=memory))
    assert [[m.cpu, m.memory] for m in machine_shapes(inventory)] == [right]
    assert bool(inventory.troubles) is (right[0] == "0")


def test_one_class_by_two_resources_serves_by_the_larger():
    single = node(gfd("NVIDIA-A100-SXM4-80GB-MIG-1g.10gb", "9728", 14), GPUS[14])
    mixed = another("n", node(mig("1g.10gb", "9728", 4), {"nvidia.com/mig-1g.10gb": "4"}))
    inventory = stock_of(single, mixed)
    assert inventory.stock[SLICE].lent == 14
    assert inventory.choice(SLICE).resource == "nvidia.com/gpu"


def test_a_member_adds_rows_taints_and_another_architecture():
    rules = MachineRules(
        "arm64",
        (Accelerator("x.example/npu", gpu_class="x-npu-1", memory="16Gi", taint="x.example/npu"),),
        (Toleration("sku", "gpu"),),
    )
    taints = ("sku=gpu:NoSchedule", "x.example/npu=y:NoExecute")
    mine = node({}, {"x.example/npu": "2"}, arch="arm64", taints=taints)
    inventory = stock_of(mine, rules=rules)
    assert inventory.stock["x-npu-1"].memory_bytes == 16 << 30
    assert inventory.troubles == ()
    other = node({}, {"x.example/npu": "2"}, arch="arm64", taints=("sku=cpu:NoSchedule",))
    assert "sku=cpu:NoSchedule" in named(stock_of(other, rules=rules).troubles)


# A member's own row, and labels of the machine: its class has the name and the memory that the member gave it.
OWN_ROWS = {
    "cores of Trainium": (
        Accelerator("aws.amazon.com/neuroncore", gpu_class="aws-trn1", memory="16Gi"),
        {},
    ),
    "partitions of AMD's": (
        Accelerator("amd.com/gpu", gpu_class="aws-trn1", memory="16Gi"),
        AMD,
    ),
    "cards by a label": (
        Accelerator("x.example/npu", class_label="x.example/name", memory_label="x.example/memory"),
        {"x.example/name": "aws-trn1", "x.example/memory": "16Gi"},
    ),
}


@pytest.mark.parametrize("case", OWN_ROWS)
def test_what_a_member_says_of_its_cards_holds_however_many_they_are(case):
    row, labels = OWN_ROWS[case]
    rules = MachineRules(more_accelerators=(row,))
    inventory = stock_of(node(labels, {row.resource: "32"}), rules=rules)
    assert dict(inventory.stock) == {"aws-trn1": GpuStock(32, 16 << 30, 0)}
    assert inventory.troubles == ()


def test_what_many_machines_share_is_said_once():
    nodes = [another(f"m{n}", node({}, GPUS[8])) for n in range(200)]
    text = named(stock_of(*nodes).troubles)
    assert text.startswith("m0 and 199 more machines: 8 nvidia.com/gpu of an unknown product")
    assert named(()) == ""


SHOULD_SHOW = {
    "by discovery": ({"nvidia.com/gpu.count": "8"}, {"nvidia.com/gpu": "7"}, None, 8),
    "by the plugin alone": ({}, {"nvidia.com/gpu": "7"}, {"nvidia.com/gpu": "8"}, 8),
    "shared, counted by discovery": (
        {
            "nvidia.com/gpu.count": "1",
            "nvidia.com/gpu.replicas": "4",
            "nvidia.com/gpu.product": "T4",
        },
        {"nvidia.com/gpu": "4"},
        None,
        1,
    ),
    "shared, and not counted": (
        {"nvidia.com/gpu.replicas": "4", "nvidia.com/gpu.product": "T4"},
        {"nvidia.com/gpu": "4"},
        None,
        0,
    ),
    "one gone before discovery looked": (
        {"hansa.dev/expected-gpus": "8", "nvidia.com/gpu.count": "7"},
        {"nvidia.com/gpu": "7"},
        None,
        8,
    ),
    "none left, and still expected": ({"hansa.dev/expected-gpus": "8"}, {}, None, 8),
    "expected is nonsense": (
        {"hansa.dev/expected-gpus": "all", "nvidia.com/gpu.count": "7"},
        {"nvidia.com/gpu": "7"},
        None,
        7,
    ),
    "nonsense": ({"nvidia.com/gpu.count": "many"}, {"cpu": "4"}, None, 0),
    "none": ({}, {}, None, 0),
}


@pytest.mark.parametrize(
    ("labels", "devices", "broken", "cards"), SHOULD_SHOW.values(), ids=SHOULD_SHOW
)
def test_how_many_cards_the_driver_of_a_machine_should_show(labels, devices, broken, cards):
    assert read_machine(node(labels, devices, broken=broken)).nvidia_cards == cards
