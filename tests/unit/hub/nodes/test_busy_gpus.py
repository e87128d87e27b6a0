"""Busy GPUs on the hub: the member's figure, or none."""

import pytest

from hansa.hub.scrape_view import busy_gpus


def node(*rows):
    return {"status": {"inventory": list(rows)}}


BUSY = {
    "never reported": ({}, {}),
    "told": (node({"gpuClass": "t4", "total": 4, "busy": 3}), {"t4": 3}),
    "told to be none": (node({"gpuClass": "t4", "total": 4, "busy": 0}), {"t4": 0}),
    "not told": (node({"gpuClass": "t4", "total": 4}), {}),
}


@pytest.mark.parametrize(("thing", "expected"), BUSY.values(), ids=BUSY.keys())
def test_what_is_not_told_is_not_zero(thing, expected):
    assert busy_gpus(thing) == expected
