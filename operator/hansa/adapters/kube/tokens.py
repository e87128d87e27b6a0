"""Asking an API server for a token of a service account (TokenRequest), and whose a token is."""

from __future__ import annotations

from hansa.errors import Retryable
from hansa.ports import Cluster

REVIEWS = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
API = "authentication.k8s.io/v1"


async def request_token(
    cluster: Cluster, namespace: str, account: str, *, seconds: int
) -> tuple[str, str]:
    """Return a new token for the API server's own audience, and when it ends (RFC 3339)."""
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
    body = {"apiVersion": API, "kind": "TokenRequest", "spec": {"expirationSeconds": seconds}}
    status = (await cluster.create(path, body)).get("status")
    status = status if isinstance(status, dict) else {}
    token, end = status.get("token"), status.get("expirationTimestamp")
    if not isinstance(token, str) or not isinstance(end, str):
        raise Retryable("the API server answered a token request without a token")
    return token, end


async def whoami(cluster: Cluster) -> str:
    """Return the user as whom the API server knows this client; empty where it does not say."""
    body = {"apiVersion": API, "kind": "SelfSubjectReview"}
    status = (await cluster.create(REVIEWS, body)).get("status")
    user = status.get("userInfo") if isinstance(status, dict) else None
    return str(user.get("username", "")) if isinstance(user, dict) else ""
