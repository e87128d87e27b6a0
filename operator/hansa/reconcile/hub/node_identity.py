"""Which rights a node has, and when it is given a token: decided of its spec and its silence.

A node renews its token itself. Only one that cannot, because it is new or was silent for too long, is
given one by the hub: sealed to the key that the league's admin pinned, for anybody to see.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hansa.model.times import from_rfc3339
from hansa.reconcile.hub.nodes import NodeView, is_point

FIRST_TOKEN_S = 86_400
"""How long a first token lasts: whoever joins exchanges it at once."""
RESEAL_BEFORE_S = FIRST_TOKEN_S / 4


@dataclass(frozen=True, slots=True)
class Rights:
    """What a node has on the hub."""

    account: bool
    """Whether its service account stays, and with it its tokens."""
    roles: bool
    key: str = ""
    """The key that its tokens were sealed to."""


NONE = Rights(account=False, roles=False)
SUSPENDED = Rights(account=True, roles=False)


def rights_of(node: NodeView | None) -> Rights:
    """Return the rights of a node; None: there is no such node."""
    if node is None or node.parsed.accepted == "Rejected":
        return NONE
    if node.parsed.accepted != "Accepted":
        return SUSPENDED
    return Rights(account=True, roles=True, key=node.parsed.identity_key)


def needs_token(node: NodeView, status: Mapping[str, Any], now_s: float, *, grace_s: float) -> bool:
    """Tell whether a token is to be sealed for an accepted node; ``status`` as on the wire."""
    key = node.parsed.identity_key
    if not is_point(key):
        return False
    said = status.get("identity")
    sealed = said if isinstance(said, Mapping) else {}
    if sealed.get("key") != key:
        return True
    if node.heartbeat_s is not None and now_s - node.heartbeat_s <= grace_s:
        return False
    return (from_rfc3339(sealed.get("notAfter")) or 0.0) < now_s + RESEAL_BEFORE_S
