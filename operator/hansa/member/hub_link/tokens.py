"""What a token of this node says, when it is renewed, and whether another may take its place.

Nothing here proves a token: the hub's API server alone can. What it hands out is read all the same
before a good identity is given up for it, and then shown to it once (``prove``).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

import orjson

from hansa.adapters.kube.tokens import request_token, whoami
from hansa.api.meta import NODE_ACCOUNT, NODE_NAMESPACE_PREFIX, node_user
from hansa.errors import Terminal
from hansa.ports import Cluster

COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
MOST_CHARACTERS = 16_384
LEAST_LEFT_S = 60.0
"""A token that ends sooner is of no use."""
AsNode = Callable[[str], AbstractAsyncContextManager[Cluster]]
"""Returns the hub as the holder of a token sees it."""


@dataclass(frozen=True, slots=True)
class TokenFacts:
    """The claims of a token (RFC 7519) that matter here."""

    subject: str
    issuer: str
    audiences: frozenset[str]
    account_uid: str
    begin_s: float
    end_s: float


def facts_of(token: str) -> TokenFacts:
    """Return what a token says; raises ``Terminal`` for what is no token of a service account."""
    if len(token) > MOST_CHARACTERS or not COMPACT.fullmatch(token):
        raise Terminal("it is no token: three parts of base64url were expected", reason="NoToken")
    try:
        middle = token.split(".")[1]
        claims = orjson.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
        return _facts(claims)
    except (binascii.Error, orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        text = f"it is no token of a service account ({type(error).__name__}: {error})"
        raise Terminal(text, reason="NoToken") from error


def renewal_due_s(token: TokenFacts, *, fraction: float, spread: float) -> float:
    """Return when to renew a token: at a fraction of its lifetime, both times Unix seconds.

    ``spread``, from 0 to 1, brings it forward by up to a twentieth of the lifetime, so that nodes
    joined together do not ask together.
    """
    return token.begin_s + (token.end_s - token.begin_s) * (fraction - 0.05 * spread)


def objection(token: TokenFacts, held: TokenFacts | None, *, node: str, now_s: float) -> str:
    """Return why ``token`` may not replace ``held`` (None: the first one); empty where it may."""
    if token.subject != node_user(node):
        return f"it is of {token.subject[:200]!r} and not of {node_user(node)!r}"
    if token.end_s < now_s + LEAST_LEFT_S:
        return "it has ended, or ends within a minute"
    if not token.audiences:
        return "it names no audience"
    if held is not None and (token.issuer, token.account_uid) != (held.issuer, held.account_uid):
        return "another issuer made it, or it is of an account made anew"
    if held is not None and not held.audiences <= token.audiences:
        return f"it is for another audience than {', '.join(sorted(held.audiences))[:200]}"
    return ""


async def renewed(
    hub: Cluster, as_node: AsNode, *, node: str, held: str, seconds: int, now_s: float
) -> str:
    """Return a newer token of this node's account, read and tried; raises ``Terminal``."""
    space = NODE_NAMESPACE_PREFIX + node
    token, _ = await request_token(hub, space, NODE_ACCOUNT, seconds=seconds)
    wrong = objection(facts_of(token), facts_of(held), node=node, now_s=now_s)
    if wrong:
        raise Terminal(wrong, reason="ForeignToken")
    await prove(as_node, token, node=node)
    return token


async def prove(as_node: AsNode, token: str, *, node: str) -> None:
    """Show a token to the hub; raises ``Terminal`` unless the hub knows its holder as this node."""
    async with as_node(token) as hub:
        user = await whoami(hub)
    if user != node_user(node):
        text = f"the hub knows its holder as {user[:200]!r} and not as {node_user(node)!r}"
        raise Terminal(text, reason="ForeignToken")


def _facts(claims: Mapping[str, Any]) -> TokenFacts:
    of_account = claims["kubernetes.io"]["serviceaccount"]
    said = claims.get("aud", [])
    audiences = [said] if isinstance(said, str) else said
    texts = (claims["sub"], claims["iss"], of_account["uid"], *audiences)
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("sub, iss, aud and the account's uid must be text")
    begin_s, end_s = claims["iat"], claims["exp"]
    if not all(isinstance(at, int) and not isinstance(at, bool) for at in (begin_s, end_s)):
        raise TypeError("iat and exp must be whole numbers")
    return TokenFacts(
        subject=claims["sub"],
        issuer=claims["iss"],
        audiences=frozenset(audiences),
        account_uid=of_account["uid"],
        begin_s=float(begin_s),
        end_s=float(end_s),
    )
