"""The MemberPolicy as the agent holds it: parsed, or why it cannot be used."""

import pytest

from hansa.member.cluster.policy import read_law


def policy(**spec):
    good = {"jurisdiction": "EE", "legalControl": ["EE"]}
    return {"metadata": {"name": "local", "generation": 2, "uid": "u"}, "spec": good | spec}


LAWS = {
    "good": (policy(), ""),
    "stopped": (policy(switch="Stopped"), ""),
    "none": (None, "no MemberPolicy"),
    "garbage": (policy(switch="Maybe"), "spec.switch"),
    "no such country": (policy(jurisdiction="ZZ"), "ZZ is no ISO 3166 code"),
}


@pytest.mark.parametrize("case", LAWS.values(), ids=LAWS.keys())
def test_law(case):
    body, problem = case
    law = read_law(body)
    assert problem in law.problem
    assert (law.spec is None) is bool(problem)
    assert law.stopped is (body == policy(switch="Stopped"))
