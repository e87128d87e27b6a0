"""``hansa queue``: how many GPUs a job asks for in all its pods."""

from __future__ import annotations

import pytest

from hansa.cli.jobs.queue import _gpus

SHAPES = {
    "nothing said": ({}, 0),
    "workers": ({"workers": {"count": 3, "gpus": 2}}, 6),
    "a head alone": ({"head": {"gpus": 4}, "workers": {"count": 0, "gpus": 4}}, 4),
    "groups": (
        {"workers": {"gpus": 2}, "workerGroups": [{"count": 3, "gpus": 2}, {"count": 9}]},
        8,
    ),
}


@pytest.mark.parametrize(("ray", "gpus"), SHAPES.values(), ids=SHAPES)
def test_gpus_of_all_pods(ray, gpus):
    assert _gpus(ray) == gpus
