"""A name of the environment is set once: the job's before the image's home, the platform's before the job's."""

from __future__ import annotations

import pytest

from tests.unit.reconcile.member.ray.rendered_run import pods
from tests.unit.reconcile.member.run_request_kit import request

NAMES_SET_TWICE = {
    "a home of its own": ({"HOME": "/tmp/x"}, "HOME", "/tmp/x"),
    "the user's name": ({"USER": "me"}, "USER", "me"),
    "nothing": ({}, "HOME", "/tmp"),
}


@pytest.mark.parametrize("case", NAMES_SET_TWICE)
def test_a_name_is_set_once(case):
    own, name, value = NAMES_SET_TWICE[case]
    made = request(env=[{"name": key, "value": text} for key, text in own.items()])
    for role in ("head", "worker", "submitter"):
        [container] = pods(made)[role]["spec"]["containers"]
        names = [row["name"] for row in container["env"]]
        assert len(names) == len(set(names))
        if role != "submitter":
            assert {"name": name, "value": value} in container["env"]
