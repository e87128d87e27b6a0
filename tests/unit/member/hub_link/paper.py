"""Tokens as an API server makes them, but for the signature, and a hub that hands them out."""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

from hansa.adapters.kube.config import Connection
from hansa.adapters.kube.tokens import REVIEWS
from hansa.adapters.sealing import seal
from hansa.api.meta import node_user

NOW_S = 1_800_000_000
PATH = "/api/v1/namespaces/hansa-node-tartu/serviceaccounts/hansa-agent/token"


def token(node: str = "tartu", *, begin_s: int = NOW_S, seconds: int = 3600, **claims: Any) -> str:
    """Return a token of a node's account; ``claims`` replace what it says."""
    said = {
        "sub": node_user(node),
        "iss": "https://hub.example",
        "aud": ["https://hub.example"],
        "iat": begin_s,
        "exp": begin_s + seconds,
        "kubernetes.io": {"serviceaccount": {"name": "hansa-agent", "uid": "u-1"}},
    } | claims
    return compact({"alg": "ES256"}, said)


def compact(*parts: Any) -> str:
    """Return parts as a JWS in its compact form, with a signature nobody made."""
    texts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode() for part in parts]
    return ".".join([*(text.rstrip("=") for text in texts), "c2lnbmVk"])


class PaperHub:
    """Answers token requests, and knows whose tokens they are."""

    def __init__(self, *answers: Any, users: dict[str, str] | None = None) -> None:
        self.answers, self.users = list(answers), users or {}
        """Token → user, where it is another than the node tartu."""
        self.asked: list[tuple[str, Any]] = []
        self.shown: list[str] = []
        """Tokens that somebody came with."""

    async def create(self, path: str, body: Any) -> Any:
        self.asked.append((path, body))
        return _or_raised(self.answers.pop(0))

    async def get(self, _: str) -> Any:
        return _or_raised(self.answers.pop(0))

    @contextlib.asynccontextmanager
    async def as_node(self, held: str) -> AsyncIterator[_Holder]:
        self.shown.append(held)
        yield _Holder(self, held)


class _Holder:
    """The hub as the holder of a token sees it."""

    def __init__(self, hub: PaperHub, held: str) -> None:
        self._hub, self._held = hub, held

    async def create(self, path: str, body: Any) -> Any:
        if path == REVIEWS:
            user = self._hub.users.get(self._held, node_user("tartu"))
            return {"status": {"userInfo": {"username": user}}}
        return await self._hub.create(path, body)


def handed(text: Any) -> dict[str, Any]:
    """Return the answer to a token request."""
    return {"status": {"token": text, "expirationTimestamp": "2027-01-15T08:00:00Z"}}


def sealed(text: str, key: str, *, node: str = "tartu", **spec: Any) -> dict[str, Any]:
    """Return a SovereignNode with a token sealed to a key."""
    identity = {
        "key": key,
        "sealed": seal(text, key, node=node),
        "notAfter": "2027-01-15T08:00:00Z",
    }
    accepted = {"accepted": "Accepted", "identityKey": key}
    return {"spec": accepted | spec, "status": {"identity": identity}}


def _or_raised(answer: Any) -> Any:
    if isinstance(answer, Exception):
        raise answer
    return answer() if isinstance(answer, Callable) else answer  # type: ignore[arg-type]


HUB = Connection(server="https://hub.example")
