"""Which rights a node has, and when the hub makes a token for it."""

from __future__ import annotations

import pytest

from hansa.adapters.sealing import IdentityKey
from hansa.model.times import rfc3339
from hansa.reconcile.hub.node_identity import (
    FIRST_TOKEN_S,
    NONE,
    RESEAL_BEFORE_S,
    SUSPENDED,
    Rights,
    needs_token,
    rights_of,
)
from hansa.reconcile.hub.nodes import is_point, parse_node, view_node
from hansa.reconcile.hub.status.nodes_and_pools import node_status
from tests.unit.reconcile.hub.hub_objects import LIMITS, NOW_S, node_manifest

KEY = IdentityKey.generate().public_key
OTHER = IdentityKey.generate().public_key
NO_POINT = "Ag" + "A" * 41 + "B"
GRACE_S = 40.0


def node(heartbeat_s=None, **spec):
    parsed = parse_node(node_manifest(**({"identityKey": KEY} | spec)), LIMITS)
    return view_node(parsed, heartbeat_s, NOW_S, LIMITS)


RIGHTS = {
    "accepted": (node(), Rights(account=True, roles=True, key=KEY)),
    "accepted, no key yet": (node(identityKey=None), Rights(account=True, roles=True)),
    "not any more": (node(accepted="Pending"), SUSPENDED),
    "rejected": (node(accepted="Rejected"), NONE),
    "removed": (None, NONE),
}


@pytest.mark.parametrize("case", RIGHTS)
def test_rights(case):
    seen, rights = RIGHTS[case]

    assert rights_of(seen) == rights


def identity(key=KEY, left_s=FIRST_TOKEN_S):
    return {"identity": {"key": key, "sealed": "AAAA", "notAfter": rfc3339(NOW_S + left_s)}}


TOKENS = {
    "new": (node(), {}, True),
    "sealed a moment ago": (node(), identity(), False),
    "sealed, and soon over": (node(), identity(left_s=RESEAL_BEFORE_S - 1), True),
    "sealed, ended, and at work": (node(NOW_S - 3), identity(left_s=-9999), False),
    "sealed, ended, and silent": (node(NOW_S - GRACE_S - 1), identity(left_s=-9999), True),
    "another key is pinned, and it is at work": (node(NOW_S - 3), identity(OTHER), True),
    "no key": (node(identityKey=None), {}, False),
    "no point of the curve": (node(identityKey=NO_POINT), {}, False),
    "what is no identity": (node(), {"identity": 7}, True),
    "what is no time": (node(), {"identity": {"key": KEY, "notAfter": "later"}}, True),
}


@pytest.mark.parametrize("case", TOKENS)
def test_a_token_is_made_for_a_node_that_has_none(case):
    seen, status, due = TOKENS[case]

    assert needs_token(seen, status, NOW_S, grace_s=GRACE_S) == due


@pytest.mark.parametrize("key", ["", "hello", NO_POINT, "A" * 44])
def test_what_is_no_point(key):
    assert not is_point(key)
    assert is_point(KEY)


def test_a_key_that_is_none_is_told():
    said = node_status(node(NOW_S, identityKey=NO_POINT), (), {}, NOW_S)

    ready = said["conditions"][0]
    assert (ready["status"], ready["reason"]) == ("False", "NodeNotAccepted")
    assert "spec.identityKey is no P-256 key" in ready["message"]
