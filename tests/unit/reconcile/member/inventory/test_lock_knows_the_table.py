"""The second lock writes the table of accelerators a second time, as patterns: both must say the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hansa.reconcile.member.inventory.accelerators import BUILT_IN
from hansa.reconcile.member.inventory.machine import kept_off, read_machine
from hansa.reconcile.member.inventory.stock import take_stock
from tests.unit.grants.grant_kit import policy
from tests.unit.reconcile.member.inventory.node_objects import CASES as USUAL
from tests.unit.reconcile.member.inventory.unusual_nodes import UNUSUAL

PARTS = Path(__file__).parents[5] / "helm/hansa-member/templates/lock/_parts.tpl"
PODS = PARTS.with_name("pods.yaml")
RESOURCES, LABELS = (
    re.compile(pattern)
    for pattern in re.findall(r"matches\('(\^\(nvidia.*?)'\)", PARTS.read_text())
)
CASES = USUAL | UNUSUAL
MAY_BE_ABSENT = {
    "cloud.google.com/gke-gpu-sharing-strategy",
    "cloud.google.com/gke-gpu-partition-size",
    "amd.com/compute-memory-partition",
}


def test_resources_and_taints_of_the_table_are_admitted():
    for row in BUILT_IN:
        assert RESOURCES.fullmatch(row.resource.replace("*", "1g.10gb")), row.resource
        assert RESOURCES.fullmatch(row.taint), row.taint


@pytest.mark.parametrize("name", CASES)
def test_what_pods_ask_for_is_admitted(name):
    inventory = take_stock([read_machine(CASES[name].node)], policy(), {})
    for gpu_class in inventory.stock:
        choice = inventory.choice(gpu_class)
        assert RESOURCES.fullmatch(choice.resource)
        for one in choice.expressions():
            assert LABELS.fullmatch(one["key"])
            assert one["operator"] == "In" or one["key"] in MAY_BE_ABSENT


def test_what_pods_keep_off_is_admitted():
    (listed,) = re.findall(r"e\.operator == 'NotIn' && e\.key in \[(.*?)\]", PODS.read_text())
    assert re.findall(r"'(.*?)'", listed) == sorted({one["key"] for one in kept_off()})
