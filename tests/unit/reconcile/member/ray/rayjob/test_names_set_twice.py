"""A name of the environment is set once: the job's before the image's home, the platform's before the job's."""

from __future__ import annotations

import pytest

from hansa.api.workgrant import WorkGrantSpec
from tests.unit.grants.grant_kit import grant, job
from tests.unit.reconcile.member.ray.rendered_run import pods
from tests.unit.reconcile.member.run_request_kit import HOST_PATH, request

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


def _lent(name):
    rule = {"location": {"allow": ["EE"]}, "legalControl": {"allow": ["EE"]}}
    return {"name": name, "claim": name, "jurisdiction": "EE", "residency": rule}


LONG = "cohort-" + "a" * 54
LONGEST = {"secrets": [LONG + "-1", LONG + "-2"], "data": [LONG + "-1", LONG + "-2"]}


@pytest.mark.parametrize("role", ["head", "worker"])
def test_volumes_of_the_longest_names_are_told_apart_and_taken(role):
    """A secret or a data set may have 63 characters, and so may a volume of a pod, prefix included."""
    asking = grant(
        job(
            secrets=[{"name": name, "mode": "Files"} for name in LONGEST["secrets"]],
            data=[{"name": name} for name in LONGEST["data"]],
        )
    )
    law = {"datasets": [_lent(name) for name in LONGEST["data"]]}
    made = request(
        law,
        grant=WorkGrantSpec.model_validate(asking),
        secrets={name: {"a": "Yg=="} for name in LONGEST["secrets"]},
        volumes=dict.fromkeys(LONGEST["data"], HOST_PATH),
    )
    spec = pods(made)[role]["spec"]
    names = [volume["name"] for volume in spec["volumes"]]
    assert len(names) == len(set(names))
    assert all(len(name) <= 63 for name in names)
    assert {m["name"] for m in spec["containers"][0]["volumeMounts"]} <= set(names)
    lent = {f"lent-{name}" for name in LONGEST["secrets"]}
    assert lent == {v["secret"]["secretName"] for v in spec["volumes"] if "secret" in v}
