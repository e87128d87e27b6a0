"""A prefix of MemberPolicy's imageRegistries ends where a part of an image's name ends."""

from __future__ import annotations

import pytest

from hansa.grants.checks import judge
from hansa.grants.reasons import MemberReason
from tests.unit.grants.grant_kit import facts, grant, job, policy

DIGEST = "@sha256:" + "0" * 64
PREFIXES: dict[str, tuple[str, str, bool]] = {
    "below a host": ("r.example", "r.example/x", True),
    "below a path": ("r.example/team/", "r.example/team/x", True),
    "the repository itself": ("r.example/team", "r.example/team", True),
    "a tag of the repository": ("r.example/team", "r.example/team:1", True),
    "any tag": ("r.example/team:", "r.example/team:1", True),
    "the port that is named": ("r.example:5000", "r.example:5000/x", True),
    "another host that begins alike": ("r.example", "r.example.evil.com/x", False),
    "another port": ("r.example", "r.example:666/x", False),
    "any port after a colon": ("r.example:", "r.example:666/x", False),
    "a longer port": ("r.example:5000", "r.example:50001/x", False),
    "a repository that begins alike": ("r.example/team", "r.example/teamwork/x", False),
    "the host as a path": ("r.example", "evil.example/r.example/x", False),
}


@pytest.mark.parametrize(("prefix", "image", "lies_under"), PREFIXES.values(), ids=PREFIXES)
def test_a_prefix_ends_at_a_boundary(*, prefix: str, image: str, lies_under: bool):
    law = policy(imageRegistries=[prefix])

    found = judge(grant(job(image=image + DIGEST)), law, facts())

    assert (MemberReason.IMAGE_NOT_ALLOWED in {o.reason for o in found.objections}) != lies_under
