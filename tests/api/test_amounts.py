"""Amounts that nobody can have meant are told at apply: bytes for gibibytes, no processor, Ray's own resources."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from hansa.api.job.ray_shape import RayShape
from hansa.api.texts import first_fault

GPU = {"gpus": 1}
MEANT: dict[str, dict[str, Any]] = {
    "gibibytes": {"memory": "16Gi"},
    "a part": {"memory": "1.5Gi", "cpu": "0.1"},
    "bytes written out": {"memory": 17179869184},
    "the least": {"memory": "1024Ki"},
    "decimal": {"memory": "1048.576k"},
    "a card of some memory": GPU | {"gpuMemory": "80G"},
    "a resource of one's own": {"customResources": [{"name": "TPU"}, {"name": "memory2"}]},
}
NOT_MEANT: dict[str, tuple[dict[str, Any], str]] = {
    "sixteen bytes": (
        {"memory": 16},
        "memory must be 1Mi or more: without a unit it is bytes; write 16Gi",
    ),
    "sixteen bytes, as text": ({"memory": "16"}, "memory must be 1Mi or more"),
    "half a byte": ({"memory": "500m"}, "memory must be 1Mi or more"),
    "no memory, which limits nothing": ({"memory": "0.0Gi"}, "memory must be 1Mi or more"),
    "a byte less": ({"memory": "1048575"}, "memory must be 1Mi or more"),
    "a card of eighty bytes": (GPU | {"gpuMemory": 80}, "gpuMemory must be 1Mi or more"),
    "a card of none": (GPU | {"gpuMemory": "0"}, "gpuMemory must be 1Mi or more"),
    "no processor": ({"cpu": "0"}, "cpu must be more than 0: Ray gives no task"),
    "no processor, in thousandths": ({"cpu": "00m"}, "cpu must be more than 0"),
    "Ray's processors": ({"customResources": [{"name": "CPU"}]}, "no custom resources"),
    "Ray's store": ({"customResources": [{"name": "object_store_memory"}]}, "no custom resources"),
}


@pytest.mark.parametrize("case", MEANT)
def test_what_can_be_meant_is_taken(case):
    RayShape.model_validate({"version": "2.55.0", "workers": MEANT[case]})


@pytest.mark.parametrize("case", NOT_MEANT)
def test_what_cannot_is_told(case):
    given, words = NOT_MEANT[case]
    with pytest.raises(ValidationError) as caught:
        RayShape.model_validate({"version": "2.55.0", "workers": given})
    assert words in first_fault(caught.value)


@pytest.mark.parametrize("where", ["head", "workerGroups"])
def test_it_holds_for_every_pod(where):
    pod = {"memory": "16"}
    shape = {"version": "2.55.0", where: pod if where == "head" else [pod | {"name": "a"}]}
    with pytest.raises(ValidationError, match="memory must be 1Mi or more"):
        RayShape.model_validate(shape)
