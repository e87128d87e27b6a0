"""Cards that only DRA drivers offer, from ResourceSlices as NVIDIA's, AMD's and Intel's drivers publish them."""

from __future__ import annotations

from typing import Any

import pytest

from hansa.member.cluster.cluster_state import ClusterState
from hansa.member.cluster.policy import HeldPolicy
from hansa.reconcile.member.inventory.cards import UNOFFERED
from hansa.reconcile.member.inventory.devices import Devices, read_devices
from tests.unit.grants.grant_kit import policy
from tests.unit.reconcile.member.inventory.node_objects import node

H100 = "NVIDIA H100 80GB HBM3"
NVIDIA = "gpu.nvidia.com"


def device(number: int = 0, **attributes: str) -> dict[str, Any]:
    return {
        "name": f"gpu-{number}",
        "attributes": {name: {"string": value} for name, value in attributes.items()},
        "capacity": {"memory": {"value": "81559Mi"}},
    }


def resource_slice(*devices: Any, driver: str = NVIDIA, generation: int = 1, **spec: Any):
    pool = {"name": "m", "generation": generation, "resourceSliceCount": 1}
    return {"spec": {"driver": driver, "nodeName": "m", "pool": pool, "devices": [*devices]} | spec}


def cards(count: int, **more: str) -> list[dict[str, Any]]:
    return [device(n, type="gpu", productName=H100, **more) for n in range(count)]


FOUND: dict[str, tuple[list[Any], tuple[Devices, ...]]] = {
    "nothing": ([], ()),
    "eight cards": ([resource_slice(*cards(8))], (Devices(NVIDIA, "nvidia-h100-80gb-hbm3", 8),)),
    "in two slices of one pool": (
        [resource_slice(*cards(4)), resource_slice(*cards(4))],
        (Devices(NVIDIA, "nvidia-h100-80gb-hbm3", 8),),
    ),
    "an older generation beside it": (
        [resource_slice(*cards(8)), resource_slice(*cards(7), generation=2)],
        (Devices(NVIDIA, "nvidia-h100-80gb-hbm3", 7),),
    ),
    "partitions beside their card": (
        [resource_slice(*cards(1), device(1, type="mig", productName=H100, profile="1g.10gb"))],
        (Devices(NVIDIA, "nvidia-h100-80gb-hbm3", 1),),
    ),
    "AMD's": (
        [
            resource_slice(
                device(type="amdgpu", productName="AMD_Instinct_MI300X_OAM"), driver="gpu.amd.com"
            )
        ],
        (Devices("gpu.amd.com", "amd-instinct-mi300x-oam", 1),),
    ),
    "Intel's": (
        [resource_slice(device(model="Arc Pro B60"), driver="gpu.intel.com")],
        (Devices("gpu.intel.com", "intel-arc-pro-b60", 1),),
    ),
    "names with their domain": (
        [resource_slice(device(**{"gpu.nvidia.com/productName": H100}))],
        (Devices(NVIDIA, "nvidia-h100-80gb-hbm3", 1),),
    ),
    "an unknown product": ([resource_slice(device())], (Devices(NVIDIA, "", 1),)),
    "partitions alone": (
        [resource_slice(device(1, type="mig", productName=H100, profile="1g.10gb"))],
        (Devices(NVIDIA, "", 0),),
    ),
    "Google's": (
        [resource_slice(device(model="v5e"), driver="tpu.google.com")],
        (Devices("tpu.google.com", "tpu-v5e", 1),),
    ),
    "Gaudi": (
        [resource_slice(device(model="Gaudi3"), driver="gaudi.intel.com")],
        (Devices("gaudi.intel.com", "gaudi-gaudi3", 1),),
    ),
    "Neuron": (
        [resource_slice(device(), driver="neuron.aws.com")],
        (Devices("neuron.aws.com", "", 1),),
    ),
    "network cards": ([resource_slice(device(), driver="dra.net")], ()),
    "of no machine": ([resource_slice(*cards(1), nodeName=None, allNodes=True)], ()),
    "half-broken": (
        [
            {},
            {"spec": None},
            resource_slice(None, {"attributes": 7}, nodeName=None),
            resource_slice(driver=NVIDIA, pool=None, devices=None),
        ],
        (),
    ),
}


@pytest.mark.parametrize("case", FOUND)
def test_what_drivers_offer(case):
    slices, expected = FOUND[case]

    assert read_devices(slices).get("m", ()) == expected


def told(found: dict[str, Any], **changes: Any) -> tuple[str, ...]:
    """What people read of one machine beside which a driver offers eight cards."""
    state = ClusterState()
    state.put_policy(HeldPolicy(policy(datasets=[]), 1, "u", ""))
    state.put_machine(node(**changes))
    state.put_devices(found)
    return state.inventory({}).troubles


EIGHT = {"m": (Devices(NVIDIA, "nvidia-h100-80gb-hbm3", 8),)}
DISCOVERED = {
    "nvidia.com/gpu.present": "true",
    "nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3",
    "nvidia.com/gpu.memory": "81559",
}
# Labels, resources, what drivers offer; how what is told begins (empty: nothing is).
MACHINES: dict[str, tuple[dict[str, str], dict[str, str], Any, str]] = {
    "by claim only": ({}, {}, EIGHT, "m: 8 nvidia-h100-80gb-hbm3 (gpu.nvidia.com) are offered by"),
    "and discovery saw them": (DISCOVERED, {}, EIGHT, "m: 8 nvidia-h100-80gb-hbm3"),
    "by a plugin, too": (DISCOVERED, {"nvidia.com/gpu": "8"}, EIGHT, ""),
    "another machine's": ({}, {}, {"other": EIGHT["m"]}, ""),
    "no more": ({}, {}, {}, ""),
}


@pytest.mark.parametrize("case", MACHINES)
def test_a_machine_whose_cards_only_a_claim_gets_is_named(case):
    labels, resources, offered, begins = MACHINES[case]

    said = told(offered, labels=labels, devices=resources)

    assert len(said) == bool(begins)
    assert "".join(said).startswith(begins)
    assert UNOFFERED not in "".join(said)


def test_what_is_offered_no_more_is_not_named_any_more():
    state = ClusterState()
    state.put_policy(HeldPolicy(policy(datasets=[]), 1, "u", ""))
    state.put_machine(node())

    assert state.put_devices(EIGHT)
    assert state.inventory({}).troubles
    assert not state.put_devices(dict(EIGHT))
    assert state.put_devices({})
    assert not state.inventory({}).troubles
