"""Who signed: every signature of a grant has to hold, one of them its issuer's."""

from __future__ import annotations

import pytest

from hansa.grants.checks import distrust, judge
from hansa.grants.facts import Proposal
from hansa.grants.reasons import MemberReason as R
from hansa.grants.trust import read
from tests.unit.grants.grant_kit import FOREIGN, HUB, NODE, facts, grant, policy

OF_ANOTHER = grant(epoch=4)["signatures"][0]
"""The hub's, over something else."""
CASES = {
    "the hub's own": (grant(), ()),
    "a second one of the hub's that does not hold": (
        grant() | {"signatures": [*grant()["signatures"], OF_ANOTHER]},
        (R.BAD_SIGNATURE,),
    ),
    "of another grant": (grant() | {"signatures": [OF_ANOTHER]}, (R.BAD_SIGNATURE,)),
    "a stranger's": (grant(by=(FOREIGN,)), (R.UNKNOWN_HUB,)),
    "a stranger's beside the hub's": (grant(by=(HUB, FOREIGN)), (R.UNKNOWN_HUB,)),
    "to another node's key": (grant(audience=HUB.key_id), (R.WRONG_NODE,)),
    "to another node": (grant(node="riga", audience=NODE.key_id), (R.WRONG_NODE,)),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_whom_a_member_believes(case):
    wire, reasons = case
    proposal = read(wire)
    assert isinstance(proposal, Proposal)
    assert tuple(o.reason for o in distrust(proposal, policy(), facts())) == reasons
    assert judge(wire, policy(), facts()).accepted is (not reasons)
