"""What a member declares of its node."""

from __future__ import annotations

from hansa.reconcile.member.inventory.stock import Inventory
from hansa.reconcile.member.node_declaration import (
    Declaration,
    Health,
    node_status,
)
from tests.unit.grants.grant_kit import policy


def declaration(**changes):
    said = {
        "node": "tartu",
        "policy": policy(),
        "generation": 3,
        "inventory": Inventory(),
        "health": Health(),
        "agent_version": "1",
        "kuberay_version": "1.6.1",
        "release_key": "A" * 43 + "=",
        "token_end_s": 100.0,
    } | changes
    return node_status(Declaration(**said), [], now_s=1)["status"]
