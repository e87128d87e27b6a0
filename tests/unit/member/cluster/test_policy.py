"""The MemberPolicy as the agent holds it: parsed, or why it cannot be used."""

import pytest

from hansa.member.cluster.policy import read_policy


def policy(**spec):
    good = {"jurisdiction": "EE", "legalControl": ["EE"]}
    return {"metadata": {"name": "local", "generation": 2, "uid": "u"}, "spec": good | spec}


POLICIES = {
    "good": (policy(), ""),
    "stopped": (policy(switch="Stopped"), ""),
    "none": (None, "no MemberPolicy"),
    "garbage": (policy(switch="Maybe"), "spec.switch"),
    "no such country": (policy(jurisdiction="ZZ"), "spec.jurisdiction: there is no place ZZ"),
}


@pytest.mark.parametrize("case", POLICIES.values(), ids=POLICIES.keys())
def test_a_policy_is_parsed_or_says_why_not(case):
    body, problem = case
    held = read_policy(body)
    assert problem in held.problem
    assert (held.spec is None) is bool(problem)
    assert held.stopped is (body == policy(switch="Stopped"))
