"""The member's machines as settings: what is read of them, and what is refused by name."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from hansa.member.settings import Machines, MemberSettings, Timing
from hansa.reconcile.member.inventory.accelerators import BUILT_IN
from hansa.reconcile.member.inventory.lost_machines import BLIND_S
from hansa.reconcile.member.inventory.taints import Toleration

REFUSED = {
    "a taint with a quote": (
        {"accelerators": [{"resource": "x.example/y", "gpuClass": "x", "taint": "'"}]},
        "taint",
    ),
    "a class by nothing": ({"accelerators": [{"resource": "x.example/y"}]}, "gpuClass or classLabel"),
    "memory twice": (
        {"accelerators": [{"resource": "x.example/y", "gpuClass": "x", "memory": "1Gi", "memoryLabel": "x.example/m"}]},
        "memory or memoryLabel",
    ),
    "the loader": (
        {"accelerators": [{"resource": "x.example/y", "gpuClass": "x", "environment": {"LD_PRELOAD": "x"}}]},
        "LD_PRELOAD",
    ),
    "all resources": ({"accelerators": [{"resource": "*", "gpuClass": "x"}]}, "resource"),
    "memory of nothing": ({"accelerators": [{"resource": "x.example/y", "gpuClass": "x", "memory": "0"}]}, "memory"),
    "no such field": ({"accelerators": [{"resource": "x.example/y", "class": "x"}]}, "class"),
    "another architecture": ({"architecture": "riscv64"}, "architecture"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_bad_settings_are_named(name):
    given, word = REFUSED[name]
    with pytest.raises(ValidationError, match=word):
        Machines.model_validate(given)


def test_looks_are_not_so_far_apart_that_machines_never_count_as_lost():
    with pytest.raises(ValidationError, match="tick_seconds"):
        Timing.model_validate({"tick_seconds": BLIND_S / 1.1})


def test_a_label_without_a_domain_may_tell_the_class():
    """AKS and many sites of their own write ``accelerator``, ``gpu-type``."""
    rows = [
        {"resource": "nvidia.com/gpu", "classLabel": "accelerator", "memoryLabel": "gpu-memory"}
    ]
    assert (
        Machines.model_validate({"accelerators": rows}).accelerators[0].class_label == "accelerator"
    )


def test_they_come_from_the_environment_as_the_chart_writes_them(monkeypatch):
    row = {
        "resource": "x.example/npu",
        "gpuClass": "x-1",
        "memory": "16Gi",
        "taint": "x.example/npu",
    }
    monkeypatch.setenv("HANSA_MEMBER_NODE", "tartu")
    monkeypatch.setenv("HANSA_MEMBER_MACHINES__ACCELERATORS", json.dumps([row]))
    monkeypatch.setenv("HANSA_MEMBER_RUNS__TOLERATIONS", '[{"key": "sku", "value": "gpu"}]')
    rules = MemberSettings().machine_rules()
    assert rules.accelerators[0].gpu_class == "x-1"
    assert rules.accelerators[1:] == BUILT_IN
    assert Toleration("sku", "gpu") in rules.tolerations
    assert Toleration("x.example/npu") in rules.tolerations
